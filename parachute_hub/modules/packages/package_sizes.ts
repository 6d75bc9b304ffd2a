// Prints the unpacked size of each package that the registry tells, as JSON: `name@version` to bytes.
const [base, list] = [process.argv[2]!, JSON.parse(process.argv[3]!) as [string, string][]]
const sizes: Record<string, number> = {}
const one = async ([name, version]: [string, string]) => {
  const url = `${base}/${name.replace("/", "%2f")}/${encodeURIComponent(version)}`
  const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(10_000) })
  const { dist } = (answer.ok ? await answer.json() : {}) as { dist?: { unpackedSize?: unknown; tarball?: unknown } }
  const size = typeof dist?.unpackedSize === "number" ? dist.unpackedSize : await guess(dist?.tarball)
  if (Number.isSafeInteger(size) && size >= 0) sizes[`${name}@${version}`] = size
}
// Some registries do not say it. A tarball is about a quarter of what it unpacks to.
const guess = async (tarball: unknown): Promise<number> => {
  if (typeof tarball !== "string" || !tarball.startsWith(`${base}/`)) return Number.NaN
  const head = await fetch(tarball, { method: "HEAD", redirect: "error", signal: AbortSignal.timeout(10_000) })
  return head.ok ? Number(head.headers.get("content-length") ?? Number.NaN) * 4 : Number.NaN
}
const next = async (): Promise<void> => {
  for (let item = list.pop(); item; item = list.pop()) await one(item).catch(() => undefined)
}
await Promise.all(Array.from({ length: 16 }, next))
console.log(JSON.stringify(sizes))
process.exit(0)
