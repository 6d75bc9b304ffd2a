import { hunks } from "../core/lines.ts"

/** Lines that only the older text has, and lines that only the newer one has, between those of both. */
export function Diff({ before, after }: { before: string; after: string }) {
  const [old, fresh] = [before.split("\n"), after.split("\n")]
  const rows: { kind: string; line: string }[] = []
  const add = (kind: string, lines: string[]) => rows.push(...lines.map((line) => ({ kind, line })))
  let at = 0
  for (const { from, to, start, end } of hunks(old, fresh)) {
    add("", shortened(old.slice(at, from)))
    add("removed", old.slice(from, to))
    add("added", fresh.slice(start, end))
    at = to
  }
  add("", shortened(old.slice(at)))
  return (
    <div class="diff" role="region" aria-label="Changes" tabIndex={0}>
      {rows.map(({ kind, line }) =>
        kind === "added" ? (
          <ins>{line || " "}</ins>
        ) : kind === "removed" ? (
          <del>{line || " "}</del>
        ) : (
          <span>{line || " "}</span>
        ),
      )}
    </div>
  )
}

/** Of a long unchanged part only its ends. */
function shortened(lines: string[]): string[] {
  return lines.length > 8 ? [...lines.slice(0, 3), "…", ...lines.slice(-3)] : lines
}
