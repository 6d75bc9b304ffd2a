// A module program that means harm: POST /hostile/try with its targets, and it tries everything that reaches beyond
// its own. The answer says for each attempt what came of it: `got`, or the error's name.
import { dlopen, FFIType, ptr, read } from "bun:ffi"
import * as fs from "node:fs"
import * as net from "node:net"

interface Targets {
  home: string
  hub: number
  sibling: number
  hubPort: number
  freePort: number
  secret: string
  program: string
  socket: string
  outside: string
}

const libc = dlopen("libc.so.6", {
  syscall: { args: Array(7).fill(FFIType.i64), returns: FFIType.i64 },
  __errno_location: { args: [], returns: FFIType.ptr },
}).symbols
const x64 = process.arch === "x64"
const NR = {
  socket: x64 ? 41 : 198,
  connect: x64 ? 42 : 203,
  sendto: x64 ? 44 : 206,
  ptrace: x64 ? 101 : 117,
  processVmReadv: x64 ? 310 : 270,
  prlimit: x64 ? 302 : 261,
  setpriority: x64 ? 141 : 140,
  affinity: x64 ? 203 : 122,
  mount: x64 ? 165 : 40,
  unshare: x64 ? 272 : 97,
  keyctl: x64 ? 250 : 219,
  bpf: x64 ? 321 : 280,
  userfaultfd: x64 ? 323 : 282,
  ioUring: 425,
  perf: x64 ? 298 : 241,
  inotifyInit: x64 ? 294 : 26,
  inotifyAdd: x64 ? 254 : 27,
  shmget: x64 ? 29 : 194,
  truncate: x64 ? 76 : 45,
  setxattr: x64 ? 188 : 5,
  pidfdOpen: 434,
  pidfdGetfd: 438,
}
const text = (value: string) => Buffer.from(`${value}\0`)
const at = (buffer: Buffer) => BigInt(ptr(buffer))

class Failed extends Error {
  constructor(public code: string) {
    super(code)
  }
}

function call(number: number, ...given: (number | bigint)[]): number {
  const words = [number, ...given, 0, 0, 0, 0, 0, 0].slice(0, 7).map(BigInt)
  const result = Number(libc.syscall(...(words as [bigint, bigint, bigint, bigint, bigint, bigint, bigint])))
  if (result < 0) throw new Failed(`errno ${read.i32(libc.__errno_location() as never, 0)}`)
  return result
}

function address(port: number): Buffer {
  const one = Buffer.alloc(16)
  one.writeUInt16LE(2, 0)
  one.writeUInt16BE(port, 2)
  Buffer.from([127, 0, 0, 1]).copy(one, 4)
  return one
}

function listen(options: object): Promise<void> {
  return new Promise((done, failed) => {
    const server = net.createServer()
    server.once("error", failed)
    server.listen(options, () => server.close(() => done()))
  })
}

function connect(options: net.NetConnectOpts): Promise<void> {
  return new Promise((done, failed) => {
    const client = net.connect(options, () => {
      client.destroy()
      done()
    })
    client.once("error", failed)
  })
}

function attempts(t: Targets): Record<string, () => unknown> {
  const mine = process.env.PARACHUTE_HOME as string
  const own = `${mine}/hostile`
  const database = `${t.home}/parachute.db`
  const content = (path: string) => {
    if (fs.readFileSync(path).length === 0) throw new Failed("empty")
  }
  return {
    // The hub's own.
    "read the database": () => content(database),
    "read the operator token": () => content(`${t.home}/operator.token`),
    "read the hub's records": () => content(`${t.home}/hub/modules.json`),
    "read the accounts' key": () => content(`${t.home}/hub/accounts.key`),
    "read services.json": () => content(`${t.home}/services.json`),
    "list the home": () => fs.readdirSync(t.home),
    "write services.json": () => fs.closeSync(fs.openSync(`${t.home}/services.json`, "r+")),
    "replace services.json": () => fs.renameSync(`${own}/planted`, `${t.home}/services.json.planted`),
    "make a file in the home": () => fs.writeFileSync(`${t.home}/planted`, "x"),
    "make a folder in the home": () => fs.mkdirSync(`${t.home}/planted-folder`),
    "cut the hub's file by its path": () => call(NR.truncate, at(text(`${t.home}/bait`)), 0),
    "remove a file of the home": () => fs.unlinkSync(`${t.home}/bait2`),
    "set an extended attribute": () =>
      call(NR.setxattr, at(text(`${t.home}/bait3`)), at(text("user.evil")), at(text("x")), 1, 0),
    // Other modules'.
    "read another's secret": () => content(t.secret),
    "write another's secret": () => fs.appendFileSync(t.secret, ""),
    "read another's program": () => content(t.program),
    "write another's program": () => fs.appendFileSync(t.program, ""),
    "write its own program": () => fs.appendFileSync(import.meta.path, ""),
    "reach it by a symbolic link": () => {
      fs.rmSync(`${own}/link`, { force: true })
      fs.symlinkSync(t.secret, `${own}/link`)
      content(`${own}/link`)
    },
    "reach it by a hard link": () => {
      fs.rmSync(`${own}/hard`, { force: true })
      fs.linkSync(t.secret, `${own}/hard`)
      content(`${own}/hard`)
    },
    "reach it by a rename": () => {
      fs.renameSync(`${t.home}/bait4`, `${own}/stolen`)
      content(`${own}/stolen`)
    },
    "watch a folder": () => call(NR.inotifyAdd, call(NR.inotifyInit, 0), at(text(t.home)), 0x100),
    // Outside the home.
    "read outside the home": () => content(t.outside),
    "write outside the home": () => fs.appendFileSync(t.outside, ""),
    "write the shared scratch folder": () => fs.writeFileSync(`/tmp/parachute-hostile-${process.pid}`, "x"),
    // Processes.
    "read the hub's environment": () => content(`/proc/${t.hub}/environ`),
    "read the hub's memory": () => fs.closeSync(fs.openSync(`/proc/${t.hub}/mem`, "r")),
    "reach the disk through the hub": () => content(`/proc/${t.hub}/root${database}`),
    "read another's environment": () => content(`/proc/${t.sibling}/environ`),
    "reach the disk through another": () => content(`/proc/${t.sibling}/root${database}`),
    "signal the hub": () => process.kill(t.hub, 0),
    "signal another": () => process.kill(t.sibling, 0),
    "trace another": () => call(NR.ptrace, 0x4206, t.sibling, 0, 0),
    "read another's memory": () => {
      const into = Buffer.alloc(16)
      call(NR.processVmReadv, t.sibling, at(into), 1, at(into), 1, 0)
    },
    "take a descriptor of another": () => call(NR.pidfdGetfd, call(NR.pidfdOpen, t.sibling, 0), 1, 0),
    "limit the hub": () => call(NR.prlimit, t.hub, 4, at(Buffer.alloc(16)), 0),
    "slow the hub down": () => call(NR.setpriority, 0, t.hub, 0),
    "pin the hub to a processor": () => call(NR.affinity, t.hub, 8, at(Buffer.alloc(8, 0xff))),
    // The network.
    "listen on another port": () => listen({ host: "127.0.0.1", port: t.freePort }),
    "listen on any port": () => listen({ host: "127.0.0.1", port: 0 }),
    "reach a UNIX socket": () => connect({ path: t.socket }),
    "listen on a UNIX socket": () => listen({ path: `${own}/s` }),
    "listen on an abstract socket": () => listen({ path: "\0parachute-hostile" }),
    "open a raw socket": () => call(NR.socket, 2, 3, 1),
    "open a netlink socket": () => call(NR.socket, 16, 3, 0),
    "open an MPTCP socket": () => call(NR.socket, 2, 1, 262),
    "send with TCP Fast Open": () =>
      call(NR.sendto, call(NR.socket, 2, 1, 0), at(text("x")), 1, 0x20000000, at(address(t.hubPort)), 16),
    // The kernel.
    mount: () => call(NR.mount, at(text("none")), at(text("/mnt")), at(text("tmpfs")), 0, 0),
    "make a namespace": () => call(NR.unshare, 0x10000000),
    "use the keyring": () => call(NR.keyctl, 0, -3, 1),
    "load a BPF program": () => call(NR.bpf, 0, at(Buffer.alloc(64)), 64),
    "use userfaultfd": () => call(NR.userfaultfd, 1),
    "use io_uring": () => call(NR.ioUring, 4, at(Buffer.alloc(128))),
    "measure other programs": () => call(NR.perf, at(Buffer.alloc(128)), t.sibling, -1, -1, 0),
    "share memory by System V": () => call(NR.shmget, 4711, 4096, 0o1600),
    // What nothing here closes.
    "see that a file is there": () => fs.statSync(database),
    "see what another program was called with": () => content(`/proc/${t.hub}/cmdline`),
    "reach the hub by its port": () => connect({ host: "127.0.0.1", port: t.hubPort }),
    // Its own, which must work.
    "write its data": () => fs.writeFileSync(`${own}/mine`, "x"),
    "start a program": () => {
      if (!Bun.spawnSync(["/bin/sh", "-c", "echo x"]).stdout.length) throw new Failed("nothing said")
    },
    "end its own child": () => {
      const child = Bun.spawn(["/bin/sleep", "60"])
      process.kill(child.pid, "SIGKILL")
    },
    "use SQLite": async () => {
      const { Database } = await import("bun:sqlite")
      new Database(`${own}/own.db`).exec("pragma journal_mode = wal; create table if not exists t (x)")
    },
  }
}

async function tryAll(t: Targets): Promise<Record<string, string>> {
  fs.mkdirSync(`${process.env.PARACHUTE_HOME}/hostile`, { recursive: true })
  fs.writeFileSync(`${process.env.PARACHUTE_HOME}/hostile/planted`, "x")
  const found: Record<string, string> = {}
  for (const [name, attempt] of Object.entries(attempts(t))) {
    try {
      await attempt()
      found[name] = "got"
    } catch (error) {
      found[name] = String((error as { code?: string }).code ?? error)
    }
  }
  // What looks done: whoever asks looks at the files.
  for (const change of [() => fs.chmodSync(`${t.home}/bait3`, 0o777), () => fs.utimesSync(`${t.home}/bait3`, 1, 1)]) {
    try {
      change()
    } catch {}
  }
  return found
}

const held: unknown[] = []

/** Take what there is of one thing. Each ends by itself after some seconds, should nobody end it. */
function hog(what: string) {
  const own = `${process.env.PARACHUTE_HOME}/hostile`
  setTimeout(() => process.exit(1), 20_000)
  if (what === "processes") {
    Bun.spawn(["/bin/sh", "-c", "b() { b & b & sleep 20; }; b"])
  } else if (what === "memory") {
    setInterval(() => held.push(Buffer.alloc(32 << 20, 1)), 50)
  } else if (what === "disk") {
    const file = fs.openSync(`${own}/filler`, "w")
    const block = Buffer.alloc(8 << 20, 1)
    setInterval(() => fs.writeSync(file, block), 10)
  } else if (what === "descriptors") {
    setInterval(() => {
      for (let count = 0; count < 500; count++) held.push(fs.openSync("/dev/null", "r"))
    }, 10)
  }
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  async fetch(request) {
    const path = new URL(request.url).pathname
    if (path === "/hostile/health") return Response.json({ status: "ok" })
    if (path === "/hostile/environment") return Response.json(process.env)
    if (path === "/hostile/try") return Response.json(await tryAll((await request.json()) as Targets))
    if (path.startsWith("/hostile/hog/")) {
      hog(path.slice("/hostile/hog/".length))
      return Response.json({})
    }
    if (path === "/hostile/steal") {
      // The next start would read these for it.
      const own = `${process.env.PARACHUTE_HOME}/hostile`
      fs.rmSync(`${own}/.env`, { force: true })
      fs.symlinkSync(((await request.json()) as Targets).secret, `${own}/.env`)
      const copy = `${process.env.PARACHUTE_HOME}/services.json`
      const known = JSON.parse(fs.readFileSync(copy, "utf8"))
      for (const row of known.services) {
        row.version = "6.6.6"
        row.paths = ["/hostile", "/vault/stolen", "/admin"]
        row.installDir = own
        row.publicExposure = "allowed"
      }
      fs.writeFileSync(`${copy}.new`, JSON.stringify(known))
      fs.renameSync(`${copy}.new`, copy)
      return Response.json({})
    }
    return new Response("hostile")
  },
})
process.on("SIGTERM", () => process.exit(0))
