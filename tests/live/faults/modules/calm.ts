// A well-behaved bun module: answers on PORT; floods its log when asked (`flood`), as a careless one would, or takes
// half a megabyte more each second (`grow`), as one that fills its caches.
const line = "x".repeat(199)
let written = 0

Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: () => Response.json({ written }) })

function flood() {
  for (let i = 0; i < 500; i++) console.log(line)
  written += 500
  setTimeout(flood, 0)
}
if (process.argv.includes("flood")) flood()

const kept: Uint8Array[] = []
if (process.argv.includes("grow")) setInterval(() => kept.push(new Uint8Array(50_000).fill(1)), 100)
