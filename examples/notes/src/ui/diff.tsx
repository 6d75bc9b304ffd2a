import { diffComm } from "node-diff3"

/** Lines that only the older text has, and lines that only the newer one has, between those of both. */
export function Diff({ before, after }: { before: string; after: string }) {
  const parts = diffComm(before.split("\n"), after.split("\n"))
  const rows = parts.flatMap((part) =>
    "common" in part && part.common
      ? shortened(part.common).map((line) => ({ kind: "", line }))
      : [
          ...(part.buffer1 ?? []).map((line: string) => ({ kind: "removed", line })),
          ...(part.buffer2 ?? []).map((line: string) => ({ kind: "added", line })),
        ],
  )
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
