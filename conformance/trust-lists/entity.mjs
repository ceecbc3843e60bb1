// An OpenID provider that is a federation entity, and a resolver that looks for a chain from it to a trust anchor; and
// beneath /anchor a trust anchor of its own, which names the provider.
// node entity.mjs PORT ANCHOR: prints its public key, then reads lines from standard input and answers each with one:
//   "resolve"  the entity with the key it printed      "forge"  the same entity with another key
//   "stranger" an entity that the anchor does not list
//   "anchor KEYS FILE" its own anchor's statements are by the key that FILE will hold, or ("meddle") by another
//   "policies CASES FILE" what each case in the file CASES becomes under its policy, into FILE
import { createServer } from "node:http";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import {
  applyMetadataPolicyToMetadata, createEntityConfiguration, createEntityStatement, resolveTrustChains,
} from "@openid-federation/core";
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
const above = await made();
let states = above;

function by(key) {
  return {
    header: { kid: key.jwk.kid, typ: "entity-statement+jwt", alg: "ES256" },
    signJwtCallback: async ({ toBeSigned }) => {
      const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key.privateKey, toBeSigned);
      return new Uint8Array(signature);
    },
  };
}

function times() {
  const now = Math.floor(Date.now() / 1000);
  return { iat: now, exp: now + 600 };
}

async function configuration(entity) {
  return createEntityConfiguration({
    ...by(current),
    claims: {
      iss: entity, sub: entity, ...times(), authority_hints: [anchor, `${url}/anchor`],
      jwks: { keys: [current.jwk] },
      metadata: {
        federation_entity: { organization_name: "One Account" },
        openid_provider: {
          issuer: entity, authorization_endpoint: `${entity}/authorize`, token_endpoint: `${entity}/token`,
          response_types_supported: ["code"], subject_types_supported: ["pairwise"],
          id_token_signing_alg_values_supported: ["ES256"], client_registration_types_supported: ["automatic"],
        },
      },
    },
  });
}

const ANCHORED = {
  "/anchor/.well-known/openid-federation": () => createEntityConfiguration({
    ...by(above),
    claims: {
      iss: `${url}/anchor`, sub: `${url}/anchor`, ...times(), jwks: { keys: [above.jwk] },
      metadata: {
        federation_entity: {
          organization_name: "Anchor", federation_list_endpoint: `${url}/anchor/list`,
          federation_fetch_endpoint: `${url}/anchor/fetch`,
        },
      },
    },
  }),
  "/anchor/list": () => JSON.stringify([url]),
  "/anchor/fetch": () => createEntityStatement({
    ...by(states), jwk: states.jwk,
    claims: {
      iss: `${url}/anchor`, sub: url, ...times(), jwks: { keys: [own.jwk] },
      metadata_policy: { openid_provider: { response_types_supported: { subset_of: ["code"] } } },
    },
  }),
};

const server = createServer(async (request, response) => {
  const anchored = ANCHORED[request.url.split("?")[0]];
  if (anchored) return response.end(await anchored());
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
function decided({ policy, about }) {
  try {
    return applyMetadataPolicyToMetadata({ leafMetadata: { x: about }, policyMetadata: { x: policy } }).resolvedLeafMetadata.x;
  } catch {
    return null;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [asked, from, to] = line.split(" ");
  if (asked === "anchor") {
    states = from === "meddle" ? other : above;
    writeFileSync(to, JSON.stringify({ keys: [above.jwk] }));
    console.log("ok");
    continue;
  }
  if (asked === "policies") {
    writeFileSync(to, JSON.stringify(JSON.parse(readFileSync(from, "utf-8")).map(decided)));
    console.log("ok");
    continue;
  }
  current = line === "forge" ? other : own;
  console.log(await resolve(line === "stranger" ? `${url}/stranger` : url));
}
server.close();
