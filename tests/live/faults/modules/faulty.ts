// A module of a whole hub that goes wrong when asked over HTTP: /hang (a busy loop), /flood (its log, without end).
// While the file `exits` lies in the hub's home it ends as soon as it is started.
if (await Bun.file(`${process.env.PARACHUTE_HOME}/exits`).exists()) process.exit(3);

const line = "x".repeat(199);

function flood() {
  for (let i = 0; i < 500; i++) console.log(line);
  setTimeout(flood, 0);
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request) {
    const path = new URL(request.url).pathname;
    if (path.endsWith("/hang")) for (;;);
    if (path.endsWith("/flood")) flood();
    return Response.json({ path });
  },
});
