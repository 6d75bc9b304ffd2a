/** The second factor: on only after a code has shown that the app works; recovery codes shown once. */
import { useEffect, useRef, useState } from "preact/hooks"
import type { Standing, Started } from "../api/shapes"
import { hub } from "../app"
import { say } from "./notices"
import { Button, Card, Copy, Field } from "./parts"
import { Secret } from "./secret"

const PATH = "/api/account/2fa"

export function SecondFactor({ standing, reload }: { standing: Standing; reload: () => Promise<void> }) {
  const [started, setStarted] = useState<Started | null>(null)
  const [codes, setCodes] = useState<string[] | null>(null)
  const done = async (fresh: string[] | null) => {
    setStarted(null)
    setCodes(fresh)
    await reload()
  }
  return (
    <Card title="Second factor">
      {codes && <Codes codes={codes} close={() => setCodes(null)} />}
      {!codes && started && <Scan started={started} done={done} back={() => setStarted(null)} />}
      {!codes && !started && (standing.enrolled ? <On standing={standing} done={done} /> : <Off start={setStarted} />)}
    </Card>
  )
}

function Off({ start }: { start: (started: Started) => void }) {
  const [password, setPassword] = useState("")
  const begin = async () => start(await hub.call<Started>("POST", `${PATH}/start`, { password }))
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <p>
        Off. With it, a stolen password is not enough: signing in also takes a code from an authenticator app on your
        phone.
      </p>
      <Secret label="Your password" autocomplete="current-password" value={password} set={setPassword} />
      <Button type="submit" kind="primary" act={begin} disabled={!password}>
        Switch it on
      </Button>
    </form>
  )
}

function Scan({
  started,
  done,
  back,
}: {
  started: Started
  done: (codes: string[]) => Promise<void>
  back: () => void
}) {
  const [code, setCode] = useState("")
  const confirm = async () => {
    const answer = await hub.call<{ backup_codes: string[] }>("POST", `${PATH}/confirm`, { code })
    await done(answer.backup_codes)
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <p>Scan this with your authenticator app. On this device, you can copy the key instead.</p>
      <Picture url={started.qr_data_url} />
      <Copy text={started.secret} label="Key for the authenticator app" />
      <Field label="The code that the app shows now">
        {(ids) => (
          <input
            {...ids}
            inputMode="numeric"
            autocomplete="one-time-code"
            maxLength={7}
            value={code}
            onInput={(event) => setCode(event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="row">
        <Button type="submit" kind="primary" act={confirm} disabled={code.replace(/\s/g, "").length !== 6}>
          Switch it on
        </Button>
        <button type="button" class="button" onClick={back}>
          Not now
        </button>
      </div>
    </form>
  )
}

/** Drawn, because the page's policy admits no image from a data address. */
function Picture({ url }: { url: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    const bytes = Uint8Array.from(atob(url.slice(url.indexOf(",") + 1)), (letter) => letter.charCodeAt(0))
    void createImageBitmap(new Blob([bytes], { type: "image/png" })).then((picture) => {
      if (!canvas.current) return
      canvas.current.width = picture.width
      canvas.current.height = picture.height
      canvas.current.getContext("2d")?.drawImage(picture, 0, 0)
    })
  }, [url])
  return (
    <canvas
      class="qr"
      ref={canvas}
      role="img"
      aria-label="QR code for the authenticator app; the key below says the same"
    />
  )
}

function Codes({ codes, close }: { codes: string[]; close: () => void }) {
  return (
    <div class="stack">
      <p>
        <strong>Keep these recovery codes</strong> where you keep passwords. Each lets you in once without the app. They
        are shown only now.
      </p>
      <Copy text={codes.join("\n")} label="Recovery codes" />
      <div>
        <button type="button" class="button primary" onClick={close}>
          I have kept them
        </button>
      </div>
    </div>
  )
}

function On({ standing, done }: { standing: Standing; done: (codes: string[] | null) => Promise<void> }) {
  const [password, setPassword] = useState("")
  const renew = async () => {
    const answer = await hub.call<{ backup_codes: string[] }>("POST", `${PATH}/codes`, { password })
    await done(answer.backup_codes)
  }
  const off = async () => {
    await hub.call("POST", `${PATH}/disable`, { password })
    say("The second factor is off")
    await done(null)
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <p>
        On. {standing.codes_left} recovery {standing.codes_left === 1 ? "code is" : "codes are"} unused
        {standing.codes_left < 3 && "; make new ones soon"}.
      </p>
      <Secret label="Your password, for a change" autocomplete="current-password" value={password} set={setPassword} />
      <div class="row">
        <Button act={renew} disabled={!password}>
          Make new recovery codes
        </Button>
        <Button kind="danger" act={off} disabled={!password}>
          Switch it off
        </Button>
      </div>
    </form>
  )
}
