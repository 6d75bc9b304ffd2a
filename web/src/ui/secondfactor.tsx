/** Second factor: turned on after a code was checked; recovery codes are shown once. */
import { useState } from "preact/hooks"
import type { Standing, Started } from "../api/shapes"
import { hub } from "../app"
import { say } from "./notices"
import { Button, Card, Copy, Field } from "./parts"
import { QrPicture } from "./qrpicture"
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
        Off. When it is on, signing in also takes a code from an authenticator app on your phone, so a stolen password
        is not enough.
      </p>
      <Secret label="Password" autocomplete="current-password" value={password} set={setPassword} />
      <Button type="submit" kind="primary" act={begin} disabled={!password}>
        Turn on
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
      <p>Scan this with your authenticator app, or copy the key into it.</p>
      <QrPicture
        url={started.qr_data_url}
        label="QR code for the authenticator app. The key below contains the same."
      />
      <Copy text={started.secret} label="Key for the authenticator app" />
      <Field label="Code shown by the app">
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
          Turn on
        </Button>
        <button type="button" class="button" onClick={back}>
          Not now
        </button>
      </div>
    </form>
  )
}

function Codes({ codes, close }: { codes: string[]; close: () => void }) {
  return (
    <div class="stack">
      <p>
        <strong>Save these recovery codes</strong> with your passwords. Each one works once in place of the app. They
        are not shown again.
      </p>
      <Copy text={codes.join("\n")} label="Recovery codes" />
      <div>
        <button type="button" class="button primary" onClick={close}>
          I have saved them
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
    say("Second factor turned off")
    await done(null)
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <p>
        On. {standing.codes_left} unused recovery {standing.codes_left === 1 ? "code" : "codes"} left
        {standing.codes_left < 3 && ". Create new ones soon"}.
      </p>
      <Secret label="Password" autocomplete="current-password" value={password} set={setPassword} />
      <div class="row">
        <Button act={renew} disabled={!password}>
          Create new recovery codes
        </Button>
        <Button kind="danger" act={off} disabled={!password}>
          Turn off
        </Button>
      </div>
    </form>
  )
}
