"""authlib, an independent client in Python: code with PKCE, refresh, revocation."""

import sys

import httpx
from authlib.integrations.httpx_client import OAuth2Client

issuer, resource = sys.argv[1:3]
redirect_uri = "http://127.0.0.1:7777/callback"
server = httpx.get(f"{issuer}/.well-known/oauth-authorization-server").json()
registered = httpx.post(
    server["registration_endpoint"], json={"redirect_uris": [redirect_uri], "client_name": "authlib"}
).json()
client = OAuth2Client(
    registered["client_id"],
    token_endpoint_auth_method="none",
    revocation_endpoint_auth_method="none",
    redirect_uri=redirect_uri,
    scope="vault:read vault:write",
    code_challenge_method="S256",
)
verifier = "authlib-verifier-" + "x" * 43
url, state = client.create_authorization_url(
    server["authorization_endpoint"], code_verifier=verifier, resource=resource
)
print(f"AUTHORIZE {url}", flush=True)
answer = sys.stdin.readline().strip()
token = client.fetch_token(
    server["token_endpoint"], authorization_response=answer, code_verifier=verifier, state=state, resource=resource
)
assert token["scope"] == "vault:default:read vault:default:write", token
notes = f"{issuer}/vault/default/api/notes"
assert client.get(notes).status_code == 200
old = token["refresh_token"]
token = client.refresh_token(server["token_endpoint"], refresh_token=old)
assert token["refresh_token"] != old
assert client.get(notes).status_code == 200
ended = client.revoke_token(server["revocation_endpoint"], token["refresh_token"])
assert ended.status_code == 200, ended.text
refused = httpx.get(notes, headers={"Authorization": f"Bearer {token['access_token']}"})
assert refused.status_code == 401, refused.text
print("ok")
