// An OpenID provider that is a federation entity, and a resolver that looks for a chain from it to a trust anchor.
// node entity.mjs PORT ANCHOR: prints its public key, then reads lines from standard input and answers each with one:
//   "resolve"  the entity with the key it printed      "forge"  the same entity with another key
//   "stranger" an entity that the anchor does not list
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createEntityConfiguration, resolveTrustChains } from "@openid-federation/core";
import * as jose from "jose";

const [port, anchor] = process.argv.slice(2);
const url = `http://127.0.0.1:${port}`;

async function made() {
  const { publicKey, privateKey } = await jose.generateKeyPair("ES256");
  const jwk = await jose.exportJWK(publicKey);
  return { privateKey, jwk: { ...jwk, kid: await jose.calculateJwkThumbprint(jwk) } };
}

const own = await made();
const other = await made();
let current = own;

async function configuration(entity) {
  const now = Math.floor(Date.now() / 1000);
  return createEntityConfiguration({
    header: { kid: current.jwk.kid, typ: "entity-statement+jwt", alg: "ES256" },
    claims: {
      iss: entity, sub: entity, iat: now, exp: now + 600, authority_hints: [anchor],
      jwks: { keys: [current.jwk] },
      metadata: { federation_entity: { organization_name: "One Account" } },
    },
    signJwtCallback: async ({ toBeSigned }) => {
      const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, current.privateKey, toBeSigned);
      return new Uint8Array(signature);
    },
  });
}

const server = createServer(async (request, response) => {
  const prefix = request.url.startsWith("/stranger") ? "/stranger" : "";
  response.writeHead(200, { "Content-Type": "application/entity-statement+jwt" });
  response.end(await configuration(url + prefix));
});
await new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));

async function verifyJwtCallback({ jwt, jwk }) {
  try {
    await jose.compactVerify(jwt, await jose.importJWK(jwk, jwk.alg ?? "ES256"));
    return true;
  } catch {
    return false;
  }
}

async function resolve(entityId) {
  try {
    const chains = await resolveTrustChains({ entityId, trustAnchorEntityIds: [anchor], verifyJwtCallback });
    if (!chains.length) return "none";
    // release 0.2.1 leaves it to its caller to see that the entity's key is the one that its superior has stated
    const stated = chains[0].chain[0].jwks.keys.map((key) => key.kid);
    const shown = chains[0].rawLeafEntityConfiguration.jwks.keys.map((key) => key.kid);
    return shown.every((kid) => stated.includes(kid)) ? `chain ${chains[0].chain.length}` : "none: another key";
  } catch (error) {
    return `none ${error.message}`.replaceAll("\n", " ").slice(0, 200);
  }
}

console.log(JSON.stringify(own.jwk));
for await (const line of createInterface({ input: process.stdin })) {
  current = line === "forge" ? other : own;
  console.log(await resolve(line === "stranger" ? `${url}/stranger` : url));
}
server.close();
