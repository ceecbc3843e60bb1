// A verifier out of other people's packages, as they are published: it asks by OpenID4VP 1.0 (signed request, x509_hash,
// DCQL, direct_post.jwt) and checks what it is shown. What here is ours is only what the packages leave to whoever uses
// them: keys, two addresses, whom to trust, and, on demand, a request that nobody should answer.
// For each line of JSON one job, and a line of what came of it.
import { Buffer } from 'node:buffer'
import {
  createHash, createPrivateKey, createPublicKey, randomBytes, randomUUID, sign, verify as verifySignature, X509Certificate,
} from 'node:crypto'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { setGlobalConfig } from '@openid4vc/oauth2'
import { calculateX509HashClientIdPrefixValue, Openid4vpVerifier, verifyJarmAuthorizationResponse } from '@openid4vc/openid4vp'
import { CoseKey, DeviceResponse, SessionTranscript, Verifier as MdocVerifier } from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { digest } from '@sd-jwt/crypto-nodejs'
import { DcqlQuery } from 'dcql'
import * as jose from 'jose'

setGlobalConfig({ allowInsecureUrls: true }) // the node under test and this verifier are on this machine, without TLS
const unused = () => { throw new Error('not needed') }
const sha = (data, alg) => createHash(alg.replace('-', '')).update(data).digest()
const raw = (key) => ({ key, dsaEncoding: 'ieee-p1363' })
const certificate = (der) => new X509Certificate(Buffer.from(der))

const self = {} // key (PEM), certificate (base64 of DER), roots (base64 of DER) of issuers
const asked = new Map() // id -> what was asked, and what came

const callbacks = {
  hash: sha,
  generateRandom: (length) => randomBytes(length),
  signJwt(signer, { header, payload }) {
    const text = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    const signature = sign('sha256', Buffer.from(text), raw(createPrivateKey(self.key))).toString('base64url')
    return { jwt: `${text}.${signature}`, signerJwk: createPublicKey(self.key).export({ format: 'jwk' }) }
  },
  async decryptJwe(jwe) {
    const one = [...asked.values()].find(({ key }) => key.kid === jose.decodeProtectedHeader(jwe).kid)
    if (!one) return { decrypted: false }
    const { plaintext } = await jose.compactDecrypt(jwe, await jose.importJWK(one.key, 'ECDH-ES'))
    return { decrypted: true, decryptionJwk: one.key, payload: Buffer.from(plaintext).toString() }
  },
  verifyJwt: unused, encryptJwe: unused, clientAuthentication: unused,
}
const verifier = new Openid4vpVerifier({ callbacks })

// --- asking -----------------------------------------------------------------------------------------------------------

async function ask({ queries, scheme, post, back, twist = {} }) {
  const id = randomUUID()
  const pair = await jose.generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
  const key = { ...await jose.exportJWK(pair.privateKey), kid: randomUUID(), use: 'enc', alg: 'ECDH-ES' }
  const { d, ...open } = key
  const hash = await calculateX509HashClientIdPrefixValue({
    hash: sha, x509Certificate: twist.certificate ?? self.certificate,
  })
  const query = DcqlQuery.parse({ credentials: queries })
  DcqlQuery.validate(query)
  const request = {
    response_type: 'vp_token', client_id: `${twist.prefix ?? 'x509_hash'}:${hash}`, response_mode: twist.mode ?? 'direct_post.jwt',
    response_uri: `${twist.elsewhere ?? self.origin}/responses/${id}`, nonce: randomBytes(16).toString('base64url'), state: id,
    dcql_query: query,
    client_metadata: {
      jwks: { keys: [open] }, encrypted_response_enc_values_supported: ['A256GCM'],
      vp_formats_supported: {
        'dc+sd-jwt': { 'sd-jwt_alg_values': ['ES256'], 'kb-jwt_alg_values': ['ES256'] },
        mso_mdoc: { issuerauth_alg_values: [-7], deviceauth_alg_values: [-7] },
      },
    },
  }
  const one = { id, key, request, back, twist, fetched: 0, answers: 0, code: randomBytes(16).toString('base64url') }
  asked.set(id, one)
  one.made = (walletNonce) => verifier.createOpenId4vpAuthorizationRequest({
    authorizationRequestPayload: request,
    scheme,
    jar: {
      requestUri: `${twist.hidden ?? self.origin}/requests/${id}`,
      jwtSigner: { method: 'x5c', alg: 'ES256', x5c: [self.certificate] },
      expiresInSeconds: 120, now: new Date(Date.now() - (twist.ago ?? 0) * 1000),
      additionalJwtPayload: { aud: 'https://self-issued.me/v2', ...(walletNonce && { wallet_nonce: walletNonce }) },
    },
  })
  let { authorizationRequest: link } = await one.made()
  if (post) link += '&request_uri_method=post'
  if (twist.named) link = link.replace(/x509_hash%3A[\w-]+/, `x509_hash%3A${'A'.repeat(43)}`)
  return { id, link }
}

async function requestObject(one, walletNonce) {
  one.fetched += 1
  const { jar: { authorizationRequestJwt: jwt } } = await one.made(one.twist.deaf ? 'of-another' : walletNonce)
  if (!one.twist.broken) return jwt
  const [header, payload, signature] = jwt.split('.')
  return [header, payload, signature.replace(/./, (first) => (first === 'A' ? 'B' : 'A'))].join('.')
}

// --- checking ---------------------------------------------------------------------------------------------------------

function trusted(chain, now = new Date()) {
  const [leaf, ...others] = chain.map(certificate)
  const roots = self.roots.map((root) => certificate(Buffer.from(root, 'base64')))
  const last = others.at(-1) ?? leaf
  for (const one of [leaf, ...others]) if (now < new Date(one.validFrom) || now > new Date(one.validTo)) throw new Error('certificate: time')
  if (!roots.some((root) => last.checkIssued(root) && last.verify(root.publicKey))) throw new Error('certificate: issuer')
  return leaf.publicKey
}
const headerOf = (data) => JSON.parse(Buffer.from(data.split('.')[0], 'base64url'))
function byIssuer(data, signature) {
  const key = trusted(headerOf(data).x5c.map((one) => Buffer.from(one, 'base64')))
  return verifySignature('sha256', Buffer.from(data), raw(key), Buffer.from(signature, 'base64url'))
}
function byHolder(data, signature, payload) {
  const key = createPublicKey({ key: payload.cnf.jwk, format: 'jwk' })
  return verifySignature('sha256', Buffer.from(data), raw(key), Buffer.from(signature, 'base64url'))
}

async function checkSdJwt(presented, query, { nonce, audience }) {
  const checker = new SDJwtVcInstance({
    hasher: digest, verifier: byIssuer, kbVerifier: byHolder, statusVerifier: byIssuer,
    statusListFetcher: async (uri) => (await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })).text(),
  })
  const wanted = query.claims.map(({ path }) => path.join('.'))
  const { payload, kb } = await checker.verify(presented, { keyBindingNonce: nonce, requiredClaimKeys: wanted })
  if (kb.payload.aud !== audience) throw new Error('key binding: audience')
  if (Math.abs(Date.now() / 1000 - kb.payload.iat) > 60) throw new Error('key binding: time')
  return { credential_format: 'dc+sd-jwt', vct: payload.vct, claims: payload, cryptographic_holder_binding: true }
}

const mdocContext = {
  crypto: { random: (length) => randomBytes(length), digest: ({ digestAlgorithm, bytes }) => sha(bytes, digestAlgorithm) },
  cose: {
    sign1: {
      sign: unused,
      verify: ({ key, sign1 }) =>
        verifySignature('sha256', sign1.toBeSigned, raw(createPublicKey({ key: key.jwk, format: 'jwk' })), sign1.signature),
    },
    mac0: { sign: unused, verify: unused },
  },
  x509: {
    getIssuerNameField: ({ certificate: der, field }) => certificate(der).issuer.split('\n')
      .filter((line) => line.startsWith(`${field}=`)).map((line) => line.slice(field.length + 1)),
    getPublicKey: ({ certificate: der, alg }) => CoseKey.fromJwk({ ...certificate(der).publicKey.export({ format: 'jwk' }), alg }),
    verifyCertificateChain: ({ x5chain, now }) => { trusted(x5chain, now) },
    getCertificateData({ certificate: der }) {
      const one = certificate(der)
      return {
        issuerName: one.issuer, subjectName: one.subject, serialNumber: one.serialNumber, thumbprint: one.fingerprint256,
        notBefore: new Date(one.validFrom), notAfter: new Date(one.validTo), pem: one.toString(),
      }
    },
  },
}

async function checkMdoc(presented, query, { nonce, audience, request }) {
  const jwkThumbprint = Buffer.from(await jose.calculateJwkThumbprint(request.client_metadata.jwks.keys[0]), 'base64url')
  const deviceResponse = DeviceResponse.fromEncodedForOid4Vp(presented)
  await MdocVerifier.verifyDeviceResponse({
    deviceResponse,
    sessionTranscript: await SessionTranscript.forOid4Vp(
      { clientId: audience, nonce, responseUri: request.response_uri, jwkThumbprint }, mdocContext,
    ),
    trustedCertificates: self.roots.map((root) => Buffer.from(root, 'base64')),
  }, mdocContext)
  const [{ docType, issuerSigned }, ...more] = deviceResponse.documents
  if (more.length) throw new Error('more than one document')
  const namespaces = {}
  for (const space of issuerSigned.issuerNamespaces.issuerNamespaces.keys()) {
    namespaces[space] = issuerSigned.getPrettyClaims(space)
  }
  return { credential_format: 'mso_mdoc', doctype: docType, namespaces, cryptographic_holder_binding: true }
}

// Everything that was shown, checked: {state: 'passed', shown}; what fails has its reason instead.
async function judge(one, form, twist = {}) {
  const { request } = one
  try {
    const { jarmAuthorizationResponse: opened, type } = await verifyJarmAuthorizationResponse({
      jarmAuthorizationResponseJwt: form.response, callbacks, authorizationRequestPayload: request,
      expectedClientId: request.client_id,
    })
    if (opened.error) return { state: 'declined', error: opened.error, sealed: type, fits: opened.state === request.state }
    const { dcql } = await verifier.parseOpenid4vpAuthorizationResponse({
      authorizationRequestPayload: request, authorizationResponse: form, callbacks,
    })
    const expected = { nonce: twist.nonce ?? request.nonce, audience: twist.audience ?? request.client_id, request }
    const shown = {}
    const described = {}
    for (const [id, presentations] of Object.entries(dcql.presentations)) {
      const query = request.dcql_query.credentials.find((query) => query.id === id)
      const check = query.format === 'mso_mdoc' ? checkMdoc : checkSdJwt
      described[id] = await Promise.all(presentations.map((presented) => check(presented, query, expected)))
      shown[id] = described[id][0].claims ?? described[id][0].namespaces
    }
    // whether what came is what was asked for, by the package again
    const { can_be_satisfied: enough } = DcqlQuery.query(DcqlQuery.parse(request.dcql_query), Object.values(described).flat())
    if (!enough) throw new Error('not what was asked')
    return { state: 'passed', sealed: type, shown }
  } catch (error) {
    return { state: 'failed', why: String(error.message ?? error) }
  }
}

// --- two addresses ----------------------------------------------------------------------------------------------------

async function body(request) {
  let text = ''
  for await (const part of request) text += part
  return Object.fromEntries(new URLSearchParams(text))
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, self.origin)
  const [, what, id] = url.pathname.split('/')
  const one = asked.get(id)
  const tell = (status, told) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(told))
  }
  if (what === 'requests' && one) {
    const { wallet_nonce: nonce } = request.method === 'POST' ? await body(request) : {}
    one.method = request.method
    response.writeHead(200, { 'content-type': 'application/oauth-authz-req+jwt' }).end(await requestObject(one, nonce))
  } else if (what === 'responses' && one && request.method === 'POST') {
    one.answers += 1
    one.form = await body(request)
    one.told = await judge(one, one.form)
    tell(200, one.back ? { redirect_uri: `${self.origin}/back/${id}?response_code=${one.code}` } : {})
  } else if (what === 'back' && one) { // the holder's browser; only who has the code sees what came
    if (url.searchParams.get('response_code') === one.code) tell(200, one.told)
    else tell(403, {})
  } else tell(404, {})
})
const elsewhere = createServer((request, response) => { self.strayed += 1; response.writeHead(200).end('{}') })
const listening = (one) => new Promise((resolve) => one.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${one.address().port}`)))

const jobs = {
  async start(job) {
    const [origin, other] = await Promise.all([server, elsewhere].map(listening))
    Object.assign(self, { ...job, origin, strayed: 0 })
    return { origin, elsewhere: other }
  },
  ask,
  async told({ id }) {
    const { fetched, answers, method, told } = asked.get(id)
    return { fetched, answers, method, strayed: self.strayed, ...told }
  },
  async again({ id, ...twist }) {
    const one = asked.get(id)
    return judge(one, one.form, twist)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const job = JSON.parse(line)
    console.log(JSON.stringify(await jobs[job.do](job)))
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack ?? error) }))
  }
}
process.exit(0)
