// oauth4webapi, the strictest client library: discovery, registration, code with PKCE and iss, refresh, revocation.
import { authorize, done, expect } from "./driver.mjs"

const [packages, issuer, resource] = process.argv.slice(2)
const oauth = await import(`${packages}/node_modules/oauth4webapi/build/index.js`)
const insecure = { [oauth.allowInsecureRequests]: true }
const redirect_uri = "http://127.0.0.1:7777/callback"

const server = await oauth
  .discoveryRequest(new URL(issuer), { algorithm: "oauth2", ...insecure })
  .then((response) => oauth.processDiscoveryResponse(new URL(issuer), response))
expect(server.issuer === issuer, "the issuer is the address itself")

const client = await oauth
  .dynamicClientRegistrationRequest(
    server,
    { redirect_uris: [redirect_uri], client_name: "oauth4webapi", token_endpoint_auth_method: "none" },
    insecure,
  )
  .then(oauth.processDynamicClientRegistrationResponse)

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const ask = new URL(server.authorization_endpoint)
for (const [name, value] of Object.entries({
  client_id: client.client_id,
  redirect_uri,
  response_type: "code",
  scope: "vault:read vault:write",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  resource,
}))
  ask.searchParams.set(name, value)

const parameters = oauth.validateAuthResponse(server, client, await authorize(ask), state)
const tokens = await oauth
  .authorizationCodeGrantRequest(server, client, oauth.None(), parameters, redirect_uri, verifier, {
    ...insecure,
    additionalParameters: { resource },
  })
  .then((response) => oauth.processAuthorizationCodeResponse(server, client, response))
expect(tokens.scope === "vault:default:read vault:default:write", "the narrowed scopes")

const read = (token) =>
  oauth.protectedResourceRequest(
    token,
    "GET",
    new URL(`${issuer}/vault/default/api/notes`),
    undefined,
    undefined,
    insecure,
  )
expect((await read(tokens.access_token)).status === 200, "the vault takes the token")

const refreshed = await oauth
  .refreshTokenGrantRequest(server, client, oauth.None(), tokens.refresh_token, insecure)
  .then((response) => oauth.processRefreshTokenResponse(server, client, response))
expect(refreshed.refresh_token !== tokens.refresh_token, "the refresh token rotates")
expect((await read(refreshed.access_token)).status === 200, "the vault takes the new token")
expect((await read(tokens.access_token)).status === 200, "the old access token stays good")

await oauth
  .revocationRequest(server, client, oauth.None(), refreshed.refresh_token, insecure)
  .then(oauth.processRevocationResponse)
const refused = await fetch(`${issuer}/vault/default/api/notes`, {
  headers: { Authorization: `Bearer ${refreshed.access_token}` },
})
expect(refused.status === 401, "revocation takes effect at once")
done()
