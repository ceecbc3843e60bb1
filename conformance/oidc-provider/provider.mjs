// oidc-provider as it comes, on a free port of this machine; prints where it is as one line of JSON.
// PORT, CLIENT_JWK (public, for private_key_jwt) from the environment.
import http from "node:http";
import { Provider } from "oidc-provider";

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const redirect = ["https://gd.wantong.example/identity/return/other"];
const common = { redirect_uris: redirect, response_types: ["code"], grant_types: ["authorization_code"] };

const provider = new Provider(issuer, {
  clients: [
    { ...common, client_id: "basic", client_secret: "a secret: with/odd characters %", token_endpoint_auth_method: "client_secret_basic" },
    {
      ...common,
      client_id: "strict",
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "ES256",
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
      jwks: { keys: [JSON.parse(process.env.CLIENT_JWK)] },
    },
    { ...common, client_id: "public", token_endpoint_auth_method: "none" },
  ],
  features: {
    devInteractions: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    dPoP: { enabled: process.env.DPOP !== "off", nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true },
  },
  pkce: { required: () => true },
  acrValues: ["urn:wantong:acr:substantial"],
  claims: { openid: ["sub", "acr"], profile: ["name", "birthdate"] },
  findAccount: (ctx, sub) => ({ accountId: sub, claims: async () => ({ sub, acr: "urn:wantong:acr:substantial", name: "Chan Tai Man", birthdate: "1961" }) }),
  cookies: { keys: ["only for this run"] },
  renderError: (ctx, out) => { ctx.type = "json"; ctx.body = out; },
});
http.createServer(provider.callback()).listen(port, "127.0.0.1", () => console.log(JSON.stringify({ issuer })));
