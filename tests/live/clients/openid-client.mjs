// openid-client: discovery, registration with a secret by HTTP Basic, code, refresh, revocation.
import { authorize, done, expect } from "./driver.mjs"

const [packages, issuer, resource] = process.argv.slice(2)
const openid = await import(`${packages}/node_modules/openid-client/build/index.js`)
const redirect_uri = "http://localhost:7777/callback"

const config = await openid.dynamicClientRegistration(
  new URL(issuer),
  { redirect_uris: [redirect_uri], client_name: "openid-client", token_endpoint_auth_method: "client_secret_basic" },
  undefined,
  { algorithm: "oauth2", execute: [openid.allowInsecureRequests] },
)
expect(config.clientMetadata().client_secret !== undefined, "a confidential client has a secret")

const pkceCodeVerifier = openid.randomPKCECodeVerifier()
const expectedState = openid.randomState()
const ask = openid.buildAuthorizationUrl(config, {
  redirect_uri,
  scope: "vault:read",
  code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
  state: expectedState,
  resource,
})
const tokens = await openid.authorizationCodeGrant(
  config,
  await authorize(ask),
  { pkceCodeVerifier, expectedState },
  { resource },
)
expect(tokens.scope === "vault:default:read", "the scope")
const answer = await openid.fetchProtectedResource(
  config,
  tokens.access_token,
  new URL(`${issuer}/vault/default/api/notes`),
  "GET",
)
expect(answer.status === 200, "the vault takes the token")
const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token, { resource })
expect(refreshed.refresh_token !== tokens.refresh_token, "the refresh token rotates")
await openid.tokenRevocation(config, refreshed.refresh_token)
const failed = await openid.refreshTokenGrant(config, refreshed.refresh_token).then(
  () => null,
  (error) => error,
)
expect(failed?.error === "invalid_grant", "nothing is left after revocation")
done()
