/** What somebody wants to know of a module before installing it. */
import type { Module, PackageFacts } from "../api/shapes"
import { modules } from "../app"
import { ago, bytes, exactly } from "../format"
import { useResource } from "../state/resource"
import { looseness, reach } from "../words"
import { Card, Facts } from "./parts"

export function Before({ module }: { module: Module }) {
  const loose = looseness(modules.isolation.value)
  // Asks the registry, so only here, where somebody looks.
  const { data, problem } = useResource(`/api/packages/${encodeURIComponent(module.short)}` as const)
  const others = data ? data.releases.filter(({ version }) => version !== data.version) : []
  const [newest] = data?.releases.filter(({ version }) => version === data.version) ?? []
  // Each fact that is asked for has its line from the beginning, so that nothing moves when it comes.
  const asked = data || problem ? null : "…"
  return (
    <Card title="Before you install it">
      {loose && <p class="reason">{loose}</p>}
      {modules.isolation.value?.state !== "off" && (
        <ul class="plain-list">
          {reach(module.permissions).map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      )}
      <Facts
        rows={[
          ["Version", data?.version ?? module.latest_version],
          ["Released", newest ? <time title={exactly(newest.at)}>{ago(newest.at)}</time> : asked],
          ["Download", data ? download(data) : problem ? "unknown: the registry did not answer" : "…"],
          ["On the disk", data ? installed(data) : asked],
          ["Memory", module.memory_mb ? `about ${module.memory_mb} MB while it runs` : null],
          ["Package", <code>{module.package}</code>],
          [
            "From",
            module.first_party ? "this hub's own list of modules" : "somebody else: install it only if you trust them",
          ],
          [
            "Changes",
            data?.changes_url && (
              <a href={data.changes_url} target="_blank" rel="noreferrer">
                What changed in each version
              </a>
            ),
          ],
          [
            "Earlier versions",
            others.length > 0 ? others.map(({ version, at }) => `${version} (${ago(at)})`).join(", ") : null,
          ],
        ]}
      />
    </Card>
  )
}

function download({ download, included }: PackageFacts): string | null {
  if (included) return "nothing: it came with the hub"
  return download === null ? null : bytes(download)
}

function installed({ unpacked, dependencies }: PackageFacts): string | null {
  if (unpacked === null) return null
  const more = dependencies === 1 ? ", and another package" : `, and ${dependencies} other packages`
  return `${bytes(unpacked)}${dependencies > 0 ? more : ""}`
}
