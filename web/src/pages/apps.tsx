/** Connected apps: what each may use, and disconnecting it. */
import type { App, Client } from "../api/shapes"
import { hub } from "../app"
import { ago } from "../format"
import { allowed } from "../scopes"
import { useResource } from "../state/resource"
import { undo } from "../ui/notices"
import { Badge, Button, Card, Empty, Facts, Head, More, Ready } from "../ui/parts"

export function Apps() {
  const apps = useResource("/api/apps", true)
  const clients = useResource("/api/oauth/clients", true)
  return (
    <>
      <Head title="Connected apps" lead="Apps you have allowed to use a vault or another part of this hub.">
        <a class="button" href="/account/connect">
          Connect an assistant
        </a>
      </Head>
      <Ready of={[apps, clients]}>
        {() => (
          <>
            <Pending clients={clients.data?.clients ?? []} />
            <Card title="Allowed by you">
              {apps.data?.apps.length === 0 && (
                <Empty title="No app is connected yet">
                  <p>
                    Claude, ChatGPT and others can use your notes. <a href="/account/connect">Connect one</a>
                  </p>
                </Empty>
              )}
              <ul class="list">
                {apps.data?.apps
                  .filter(({ client_id }) => !undo.hides(client_id))
                  .map((app) => (
                    <One key={app.client_id} app={app} changed={apps.reload} />
                  ))}
              </ul>
            </Card>
          </>
        )}
      </Ready>
    </>
  )
}

/** Apps that are waiting for an owner's approval. */
function Pending({ clients }: { clients: readonly Client[] }) {
  const waiting = clients.filter(({ status }) => status === "pending")
  if (waiting.length === 0) return null
  return (
    <Card title="Waiting for your approval">
      <ul class="list">
        {waiting.map((client) => (
          <li key={client.client_id} class="list-row">
            <div class="grow">
              <h3>{client.client_name ?? "Unnamed app"}</h3>
              <p class="quiet">
                Sends you back to <Place at={client.redirect_uris.join(", ")} />. Approve it only if you just set it up.
              </p>
            </div>
            <a class="button" href={`/admin/approve-client/${encodeURIComponent(client.client_id)}`}>
              Review
            </a>
          </li>
        ))}
      </ul>
    </Card>
  )
}

function One({ app, changed }: { app: App; changed: () => Promise<void> }) {
  const name = app.name ?? app.domain ?? "Unnamed app"
  const disconnect = () =>
    undo.begin({
      text: `Disconnecting ${name}`,
      key: app.client_id,
      done: `${name} has no access any more`,
      commit: async () => {
        await hub.call("POST", "/api/apps/disconnect", { client_id: app.client_id })
        await changed()
      },
    })
  return (
    <li class="list-row">
      <div class="grow">
        <h3>
          {name} {!app.active && <Badge tone="off">Signed out</Badge>}
        </h3>
        <p>{allowed(app.scopes)}</p>
        <p class="quiet">
          {app.domain
            ? `From ${app.domain}`
            : app.redirect_host
              ? ["Sends you back to ", <Place key="place" at={app.redirect_host} />]
              : "Unverified app"}
          , last used {ago(app.last_used)}.
        </p>
        {app.ended && (
          <p class="reason">
            Disconnected {ago(app.ended.at)}. {app.ended.why} Connect it again if you use it, and check your devices.
          </p>
        )}
        {app.branches.length > 1 && (
          <More label={`Used in ${String(app.branches.length)} places`}>
            <ul class="plain-list">
              {app.branches.map((branch) => (
                <li key={`${String(branch.first_used)} ${branch.address}`}>
                  First used {ago(branch.first_used)}, last used {ago(branch.last_used)}, from {branch.address}
                </li>
              ))}
            </ul>
          </More>
        )}
        <More label="Technical details">
          <Facts
            rows={[
              ["Scopes", <code>{app.scopes.join(" ")}</code>],
              ["Client", <code>{app.client_id}</code>],
              ["Sends you back to", app.redirect_host && <Place at={app.redirect_host} />],
              ["First allowed", ago(app.first_used)],
            ]}
          />
        </More>
      </div>
      <Button kind="danger" act={disconnect}>
        Disconnect<span class="unseen"> {name}</span>
      </Button>
    </li>
  )
}

/** An address that breaks between its parts. */
function Place({ at }: { at: string }) {
  const parts = at.split(/(?<=[/?&=])|(?<=\.)(?=[a-z])/i)
  return <>{parts.map((part, index) => [part, index < parts.length - 1 && <wbr key={index} />])}</>
}
