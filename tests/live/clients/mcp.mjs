// The MCP TypeScript SDK: from the vault's 401 to its tools, with nothing configured but the address.
import { authorize, done, expect } from "./driver.mjs"

const [packages, , resource] = process.argv.slice(2)
const sdk = `${packages}/node_modules/@modelcontextprotocol/sdk/dist/esm/client`
const { Client } = await import(`${sdk}/index.js`)
const { StreamableHTTPClientTransport } = await import(`${sdk}/streamableHttp.js`)
const { auth, UnauthorizedError } = await import(`${sdk}/auth.js`)

const kept = {}
let sentTo
const provider = {
  redirectUrl: "http://127.0.0.1:7777/callback",
  clientMetadata: {
    redirect_uris: ["http://127.0.0.1:7777/callback"],
    client_name: "MCP TypeScript",
    token_endpoint_auth_method: "none",
  },
  state: () => "a-state",
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  redirectToAuthorization: async (url) => void (sentTo = await authorize(url)),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
}

const connect = async () => {
  const client = new Client({ name: "test", version: "1" })
  const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider: provider })
  return { client, transport, connected: client.connect(transport) }
}

const first = await connect()
const refused = await first.connected.then(
  () => null,
  (error) => error,
)
expect(refused instanceof UnauthorizedError, "the vault asks for a token")
expect(sentTo.searchParams.get("state") === "a-state", "the state comes back")
await first.transport.finishAuth(sentTo.searchParams.get("code"))
expect(kept.tokens.scope === "vault:default:read vault:default:write", "no more than reading and writing is asked for")

const { client, connected } = await connect()
await connected
const tools = (await client.listTools()).tools.map((tool) => tool.name)
expect(
  ["create-note", "query-notes", "vault-info"].every((name) => tools.includes(name)),
  "the tools",
)
await client.callTool({ name: "create-note", arguments: { content: "by the MCP TypeScript SDK" } })
const found = await client.callTool({ name: "query-notes", arguments: { search: "TypeScript", include_content: true } })
expect(JSON.stringify(found).includes("by the MCP TypeScript SDK"), "the note is there")

const before = kept.tokens.refresh_token
expect((await auth(provider, { serverUrl: resource })) === "AUTHORIZED", "a refresh is enough")
expect(kept.tokens.refresh_token !== before, "the refresh token rotates")
await client.close()
done()
