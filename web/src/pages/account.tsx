/** Account: password, second factor, signed-in browsers. */
import { useState } from "preact/hooks"
import type { Session } from "../api/shapes"
import { hub, me } from "../app"
import { ago } from "../format"
import { useResource } from "../state/resource"
import { say } from "../ui/notices"
import { Badge, Button, Card, Head, Ready } from "../ui/parts"
import { SecondFactor } from "../ui/secondfactor"
import { Secret } from "../ui/secret"

export function Account() {
  const factor = useResource("/api/account/2fa")
  const sessions = useResource("/api/account/sessions")
  const name = me.value?.user?.displayName ?? ""
  return (
    <>
      <Head title="Account" lead={`You are signed in as ${name}.`} />
      <Ready of={[factor, sessions]}>
        {() => (
          <>
            <Password name={name} />
            {factor.data && <SecondFactor standing={factor.data} reload={factor.reload} />}
            <Sessions sessions={sessions.data?.sessions ?? []} reload={sessions.reload} />
          </>
        )}
      </Ready>
    </>
  )
}

function Password({ name }: { name: string }) {
  const [current, setCurrent] = useState("")
  const [fresh, setFresh] = useState("")
  const [again, setAgain] = useState("")
  const differs = again !== "" && again !== fresh
  const change = async () => {
    await hub.call("POST", "/api/account/password", { current_password: current, new_password: fresh })
    setCurrent("")
    setFresh("")
    setAgain("")
    say("Password changed. Other browsers were signed out.")
  }
  const ready = current && fresh && again === fresh
  return (
    <Card title="Password">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <div class="unseen" aria-hidden="true">
          {/* For password managers. */}
          <input type="text" autocomplete="username" value={name} readOnly tabIndex={-1} />
        </div>
        <Secret label="Current password" autocomplete="current-password" value={current} set={setCurrent} />
        <Secret
          label="New password"
          hint="At least 12 characters. Three or four words work well."
          autocomplete="new-password"
          value={fresh}
          set={setFresh}
        />
        <Secret
          label="Repeat the new password"
          problem={differs ? "The passwords do not match." : null}
          autocomplete="new-password"
          value={again}
          set={setAgain}
        />
        <Button type="submit" kind="primary" act={change} disabled={!ready}>
          Change password
        </Button>
      </form>
    </Card>
  )
}

function Sessions({ sessions, reload }: { sessions: readonly Session[]; reload: () => Promise<void> }) {
  const end = (session: Session) => async () => {
    await hub.call("DELETE", `/api/account/sessions/${encodeURIComponent(session.id)}`)
    await reload()
  }
  const endOthers = async () => {
    await hub.call("DELETE", "/api/account/sessions")
    await reload()
  }
  return (
    <Card
      title="Where you are signed in"
      aside={
        sessions.length > 1 && (
          <Button kind="danger" act={endOthers} done="All other browsers were signed out">
            Sign out all others
          </Button>
        )
      }
    >
      <ul class="list">
        {sessions.map((session) => (
          <li key={session.id} class="list-row">
            <div class="grow">
              <p>
                <strong>{session.browser}</strong> {session.current && <Badge tone="good">This browser</Badge>}
              </p>
              <p class="quiet">
                Last seen {ago(session.last_seen_at)} from {session.address || "an unknown address"}, signed in{" "}
                {ago(session.created_at)}.
              </p>
            </div>
            {!session.current && (
              <Button act={end(session)} done="Signed out">
                Sign out<span class="unseen"> {session.browser}</span>
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Card>
  )
}
