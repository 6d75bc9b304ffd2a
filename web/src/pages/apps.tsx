/** Connected apps: who was let in, to what, and taking it back. */
import type { App, Client } from "../api/shapes"
import { hub } from "../app"
import { ago } from "../format"
import { allowed } from "../scopes"
import { useResource } from "../state/resource"
import { confirm } from "../ui/dialog"
import { Badge, Button, Card, Empty, Facts, Head, More, Ready } from "../ui/parts"

export function Apps() {
  const apps = useResource("/api/apps", true)
  const clients = useResource("/api/oauth/clients", true)
  return (
    <>
      <Head title="Connected apps" lead="Apps you have allowed to use a vault or another part of this hub." />
      <Ready of={[apps, clients]}>
        {() => (
          <>
            <Pending clients={clients.data?.clients ?? []} />
            <Card title="Allowed by you">
              {apps.data?.apps.length === 0 && (
                <Empty title="No app is connected yet">
                  <p>
                    Claude, ChatGPT and others can use your notes. <a href="/admin/vaults">Vaults</a> tells how to
                    connect them.
                  </p>
                </Empty>
              )}
              <ul class="list">
                {apps.data?.apps.map((app) => (
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

/** Apps that asked to be let in and wait for an owner. */
function Pending({ clients }: { clients: readonly Client[] }) {
  const waiting = clients.filter(({ status }) => status === "pending")
  if (waiting.length === 0) return null
  return (
    <Card title="Waiting for you">
      <ul class="list">
        {waiting.map((client) => (
          <li key={client.client_id} class="list-row">
            <div class="grow">
              <h3>{client.client_name ?? "An app without a name"}</h3>
              <p class="quiet">
                Leads to {client.redirect_uris.join(", ")}. Let it in only if you have just set it up.
              </p>
            </div>
            <a class="button" href={`/admin/approve-client/${encodeURIComponent(client.client_id)}`}>
              Look at it
            </a>
          </li>
        ))}
      </ul>
    </Card>
  )
}

function One({ app, changed }: { app: App; changed: () => Promise<void> }) {
  const name = app.name ?? app.domain ?? "An app without a name"
  const disconnect = async () => {
    const sure = await confirm(
      `Disconnect ${name}?`,
      "It loses access at once. To use it again, you connect it again.",
      "Disconnect",
    )
    if (!sure) return
    await hub.call("POST", "/api/apps/disconnect", { client_id: app.client_id })
    await changed()
  }
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
              ? `Leads to ${app.redirect_host}`
              : "Its origin is not verified"}
          , used {ago(app.last_used)}.
        </p>
        <More label="Technical detail">
          <Facts
            rows={[
              ["Scopes", <code>{app.scopes.join(" ")}</code>],
              ["Client", <code>{app.client_id}</code>],
              ["Sends you back to", app.redirect_host],
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
