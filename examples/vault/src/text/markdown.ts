// What the vault reads in a note's text: its title, #tags and [[links]]. Code is never read.

/** A `[[link]]` in a text; `start` and `end` enclose its target, without `#heading` and `|shown text`. */
export interface WikiLink {
  target: string
  start: number
  end: number
}

const MOST_TAGS = 200
const TAG = /(?<=^|[\s[{]|(?<!\])\()#([\p{L}\p{N}_/-]{1,100})(?![\p{L}\p{N}_/-])/gmu
const LINK = /\[\[([^[\]|#\n]{1,500})(?:#[^[\]|\n]*)?(?:\|[^[\]\n]*)?\]\]/g

/** The path, else the first line with words, without the marks of a heading. */
export function titleOf(content: string, path: string | null): string {
  if (path !== null) return path
  for (const [line] of content.slice(0, 20_000).matchAll(/[^\r\n]+/g)) {
    const words = line.replace(/^[\s#>*-]+/, "").trim()
    if (words) return [...words.slice(0, 400)].slice(0, 200).join("").trim()
  }
  return ""
}

/** The `#tags` of a text, without `#`, each once, sorted. */
export function tagsIn(content: string): string[] {
  if (!content.includes("#")) return []
  const found = new Set<string>()
  for (const [, tag = ""] of withoutCode(content).matchAll(TAG)) {
    if (/[^\p{N}/_-]/u.test(tag)) found.add(tag)
    if (found.size === MOST_TAGS) break
  }
  return [...found].sort()
}

export function linksIn(content: string): WikiLink[] {
  if (!content.includes("[[")) return []
  return [...withoutCode(content).matchAll(LINK)].flatMap((match) => {
    const target = content.slice(match.index + 2, match.index + 2 + match[1]!.length)
    const start = match.index + 2 + (target.length - target.trimStart().length)
    const trimmed = target.trim()
    return trimmed ? [{ target: trimmed, start, end: start + trimmed.length }] : []
  })
}

/** The text with other link targets. `replace` gives the new target, or undefined to keep a link. */
export function relink(content: string, replace: (target: string) => string | undefined): string {
  const parts: string[] = []
  let done = 0
  for (const { target, start, end } of linksIn(content)) {
    const other = replace(target)
    if (other === undefined) continue
    parts.push(content.slice(done, start), other)
    done = end
  }
  return parts.join("") + content.slice(done)
}

/** Names are compared by this: case and a final `.md` do not matter. */
export function nameKey(name: string): string {
  return name.normalize("NFC").trim().replace(/\.md$/i, "").toLowerCase()
}

/** Whether a name can stand between `[[` and `]]`. */
export function isLinkable(name: string): boolean {
  return name.trim() !== "" && name.length <= 500 && !/[[\]|#\n]/.test(name)
}

/** The same text, at the same length, with spaces in place of code blocks and code spans. */
export function withoutCode(content: string): string {
  if (!/[`~]/.test(content)) return content
  let fence = ""
  return content.replace(/[^\n]*\n?/g, (line) => {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? ""
    if (fence) {
      const rest = line.trim()
      if (mark.startsWith(fence) && rest === rest[0]!.repeat(rest.length)) fence = ""
      return blank(line)
    }
    if (mark && !(mark[0] === "`" && line.slice(line.indexOf(mark) + mark.length).includes("`"))) {
      fence = mark
      return blank(line)
    }
    return line.includes("`") ? withoutSpans(line) : line
  })
}

/** Blanks code spans of one line: a run of backticks to the next run of the same length. */
function withoutSpans(line: string): string {
  const runs = [...line.matchAll(/`+/g)]
  const parts: string[] = []
  let done = 0
  for (const [index, close] of closings(runs.map(([run]) => run.length))) {
    const start = runs[index]!.index
    if (start < done) continue
    const end = runs[close]!.index + runs[close]![0].length
    parts.push(line.slice(done, start), blank(line.slice(start, end)))
    done = end
  }
  return parts.join("") + line.slice(done)
}

/** For each run that another one closes: its place and that of the next run of the same length. */
function closings(lengths: number[]): Array<[index: number, close: number]> {
  const next = new Map<number, number>()
  const found: Array<[number, number]> = []
  for (let index = lengths.length - 1; index >= 0; index--) {
    const close = next.get(lengths[index]!)
    if (close !== undefined) found.push([index, close])
    next.set(lengths[index]!, index)
  }
  return found.reverse()
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ")
}
