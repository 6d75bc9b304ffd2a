// A module of a whole hub that goes wrong when asked over HTTP: /hang (a busy loop), /flood (its log, without end),
// /grow (takes 200 MB more), /slow (answers after a second), /burn (computes from then on, and answers).
// While the file `exits` lies in the hub's home it ends as soon as it is started; while `waits` does, it does not listen.
if (await Bun.file(`${process.env.PARACHUTE_HOME}/exits`).exists()) process.exit(3)
while (await Bun.file(`${process.env.PARACHUTE_HOME}/waits`).exists()) await Bun.sleep(20)

const line = "x".repeat(199)

const kept: Buffer[] = []

function burn() {
  for (const end = performance.now() + 5; performance.now() < end; );
  setTimeout(burn, 0)
}

function flood() {
  for (let i = 0; i < 500; i++) console.log(line)
  setTimeout(flood, 0)
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  async fetch(request) {
    const path = new URL(request.url).pathname
    if (path.endsWith("/hang")) for (;;);
    if (path.endsWith("/flood")) flood()
    if (path.endsWith("/burn")) burn()
    if (path.endsWith("/grow")) kept.push(Buffer.alloc(200 << 20, 1))
    if (path.endsWith("/slow")) await Bun.sleep(1000)
    return Response.json({ path })
  },
})
