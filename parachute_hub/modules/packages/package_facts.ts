// Prints what the registry tells of one version of a package, as JSON: bytes, dependencies, dates, where changes are.
const [base, name, version] = process.argv.slice(2) as [string, string, string]
interface Told {
  dist?: { unpackedSize?: unknown; tarball?: unknown }
  dependencies?: object
  repository?: { url?: unknown } | string
  homepage?: unknown
}
interface Packument {
  versions?: Record<string, Told>
  time?: Record<string, unknown>
}
const patience = () => ({ redirect: "error" as const, signal: AbortSignal.timeout(10_000) })
const answer = await fetch(`${base}/${name.replace("/", "%2f")}`, patience())
const { versions = {}, time = {} } = (answer.ok ? await answer.json() : {}) as Packument
const told = versions[version] ?? {}
const tarball = told.dist?.tarball
const head =
  typeof tarball === "string" && tarball.startsWith(`${base}/`)
    ? await fetch(tarball, { method: "HEAD", ...patience() }).catch(() => null)
    : null
const repository = typeof told.repository === "string" ? told.repository : told.repository?.url
const dated = Object.keys(versions).filter((one) => typeof time[one] === "string")
dated.sort((one, other) => String(time[other]).localeCompare(String(time[one])))
console.log(
  JSON.stringify({
    download: head?.ok ? Number(head.headers.get("content-length") ?? Number.NaN) : null,
    unpacked: told.dist?.unpackedSize ?? null,
    dependencies: Object.keys(told.dependencies ?? {}).length,
    releases: dated.slice(0, 5).map((one) => ({ version: one, at: time[one] })),
    repository: repository ?? null,
    homepage: told.homepage ?? null,
  }),
)
process.exit(0)
