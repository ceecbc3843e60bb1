// A holder out of other people's packages, as they are published: keys, taking credentials (OpenID4VCI 1.0), showing them
// (OpenID4VP 1.0). What here is ours is only what the packages leave to whoever uses them: keys, a store, and the choice.
import { Buffer } from 'node:buffer'
import { createHash, createPrivateKey, randomBytes, sign, verify as verifySignature, X509Certificate } from 'node:crypto'
import { setGlobalConfig } from '@openid4vc/oauth2'
import { Openid4vciClient } from '@openid4vc/openid4vci'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import {
  CoseKey, DeviceRequest, DocRequest, Holder as MdocHolder, IssuerSigned, ItemsRequest, SessionTranscript,
} from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { digest, generateSalt, ES256 } from '@sd-jwt/crypto-nodejs'
import { DcqlQuery } from 'dcql'
import * as jose from 'jose'

setGlobalConfig({ allowInsecureUrls: true }) // the nodes under test answer on this machine, without TLS
const unused = () => { throw new Error('not needed') }
const sha = (data, alg) => createHash(alg.replace('-', '')).update(data).digest()

// --- keys -------------------------------------------------------------------------------------------------------------

export const keys = new Map() // thumbprint -> private JWK
export async function newKey() {
  const pair = await jose.generateKeyPair('ES256', { extractable: true })
  const jwk = await jose.exportJWK(pair.privateKey)
  const { d, ...open } = jwk
  keys.set(await jose.calculateJwkThumbprint(open), jwk)
  return open
}
export const privateOf = async (open) => keys.get(await jose.calculateJwkThumbprint(open))
async function signJwt(signer, { header, payload }) {
  const jwk = await privateOf(signer.publicJwk)
  const jwt = await new jose.SignJWT(payload).setProtectedHeader(header).sign(await jose.importJWK(jwk, 'ES256'))
  return { jwt, signerJwk: signer.publicJwk }
}

// --- taking credentials -----------------------------------------------------------------------------------------------

export const client = (clientAuthentication) => new Openid4vciClient({
  callbacks: {
    hash: sha, generateRandom: (length) => randomBytes(length), signJwt, verifyJwt: unused, decryptJwe: unused,
    encryptJwe: unused, clientAuthentication,
  },
})

export async function ask(wallet, issuerMetadata, accessToken, dpop, configuration, count) {
  const held = []
  const { c_nonce: nonce } = await wallet.requestNonce({ issuerMetadata })
  const jwt = []
  for (let n = 0; n < count; n++) {
    const publicJwk = await newKey()
    held.push(publicJwk)
    const proof = await wallet.createCredentialRequestJwtProof({
      issuerMetadata, credentialConfigurationId: configuration, nonce, issuedAt: new Date(),
      signer: { method: 'jwk', publicJwk, alg: 'ES256' },
    })
    jwt.push(proof.jwt)
  }
  const got = await wallet.retrieveCredentials({
    issuerMetadata, accessToken, dpop, credentialConfigurationId: configuration, proofs: { jwt },
  })
  return { answer: got.credentialResponse, dpop: got.dpop ?? dpop, keys: held }
}

// All that a pre-authorised offer offers, `count` copies of each: {configuration: {format, credentials, keys}}.
export async function takePreauthorised(wallet, credentialOffer, txCode, count) {
  const issuerMetadata = await wallet.resolveIssuerMetadata(credentialOffer.credential_issuer)
  const supported = issuerMetadata.credentialIssuer.credential_configurations_supported
  const { accessTokenResponse, dpop } = await wallet.retrievePreAuthorizedCodeAccessTokenFromOffer({
    credentialOffer, issuerMetadata, txCode, dpop: { signer: { method: 'jwk', publicJwk: await newKey(), alg: 'ES256' } },
  })
  const found = {}
  let proof = dpop
  for (const configuration of credentialOffer.credential_configuration_ids) {
    const got = await ask(wallet, issuerMetadata, accessTokenResponse.access_token, proof, configuration, count)
    proof = got.dpop
    await wallet.sendNotification({
      issuerMetadata, accessToken: accessTokenResponse.access_token, dpop: proof,
      notification: { notificationId: got.answer.notification_id, event: 'credential_accepted' },
    })
    found[configuration] = {
      format: supported[configuration].format,
      credentials: got.answer.credentials.map((one) => one.credential),
      keys: await Promise.all(got.keys.map(privateOf)),
    }
  }
  return { tokenType: accessTokenResponse.token_type, found }
}

// --- showing them -----------------------------------------------------------------------------------------------------

const presenter = new Openid4vpClient({
  callbacks: {
    hash: sha,
    generateRandom: (length) => randomBytes(length),
    signJwt,
    decryptJwe: unused,
    verifyJwt(signer, { compact }) {
      const text = Buffer.from(compact.slice(0, compact.lastIndexOf('.')))
      const { publicKey: key } = new X509Certificate(Buffer.from(signer.x5c[0], 'base64'))
      const signature = Buffer.from(compact.split('.')[2], 'base64url')
      if (!verifySignature('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, signature)) return { verified: false }
      return { verified: true, signerJwk: key.export({ format: 'jwk' }) }
    },
    async encryptJwe({ publicJwk, alg, enc, apu, apv }, data) {
      const sealed = new jose.CompactEncrypt(Buffer.from(data))
        .setProtectedHeader({ alg, enc, kid: publicJwk.kid })
        .setKeyManagementParameters({
          ...(apu && { apu: Buffer.from(apu, 'base64url') }), ...(apv && { apv: Buffer.from(apv, 'base64url') }),
        })
      return { encryptionJwk: publicJwk, jwe: await sealed.encrypt(await jose.importJWK(publicJwk, alg)) }
    },
    getX509CertificateMetadata: unused,
  },
})

// What a link asks for, as the packages read and check it: signature, x509_hash, DCQL.
export async function resolve(link) {
  const parsed = presenter.parseOpenid4vpAuthorizationRequest({ authorizationRequest: link })
  const resolved = await presenter.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: parsed.params })
  const query = DcqlQuery.parse(resolved.dcql.query)
  DcqlQuery.validate(query)
  return { request: resolved.authorizationRequestPayload, client: resolved.client, version: resolved.version, query }
}

const sdJwt = async (key) => new SDJwtVcInstance({
  hasher: digest, saltGenerator: generateSalt, hashAlg: 'sha-256', kbSignAlg: 'ES256',
  ...(key && { kbSigner: await ES256.getSigner(key) }),
})

async function described(one) {
  if (one.format === 'mso_mdoc') {
    const { issuerNamespaces, issuerAuth } = IssuerSigned.fromEncodedForOid4Vci(one.credential)
    const namespaces = {}
    for (const [space, items] of issuerNamespaces.issuerNamespaces) {
      namespaces[space] = Object.fromEntries(items.map((item) => [item.elementIdentifier, String(item.elementValue)]))
    }
    const { docType } = issuerAuth.mobileSecurityObject
    return { credential_format: 'mso_mdoc', doctype: docType, namespaces, cryptographic_holder_binding: true }
  }
  const claims = await (await sdJwt()).getClaims(one.credential)
  return { credential_format: 'dc+sd-jwt', vct: claims.vct, claims, cryptographic_holder_binding: true }
}

// Which of the held credentials answers each query, and which claims of it are to be shown.
export async function choose(query, held) {
  const told = DcqlQuery.query(query, await Promise.all(held.map(described)))
  if (!told.can_be_satisfied) return null
  return query.credentials.map((asked) => {
    const [best] = told.credential_matches[asked.id].valid_credentials
    const wanted = best.claims.valid_claim_sets[0].valid_claim_indexes?.map((n) => asked.claims[n]) ?? []
    return { asked, held: held[best.input_credential_index], paths: wanted.map((one) => one.path) }
  })
}

// One presentation; `twist` is for those who want to see it refused: another nonce, audience or key.
export async function show({ held, paths }, request, twist = {}) {
  const nonce = twist.nonce ?? request.nonce
  const audience = twist.audience ?? request.client_id
  const key = twist.key ?? held.key
  if (held.format !== 'mso_mdoc') {
    const frame = {}
    for (const path of paths) {
      let place = frame
      for (const name of path.slice(0, -1)) place = place[name] ??= {}
      place[path.at(-1)] = true
    }
    const payload = { iat: Math.floor(Date.now() / 1000), aud: audience, nonce }
    return (await sdJwt(key)).present(held.credential, frame, { kb: { payload } })
  }
  const issued = IssuerSigned.fromEncodedForOid4Vci(held.credential)
  const elements = {}
  for (const [space, name] of paths) (elements[space] ??= {})[name] = false
  const jwk = request.client_metadata.jwks.keys.find((one) => one.use !== 'sig')
  const thumbprint = Buffer.from(await jose.calculateJwkThumbprint(jwk), 'base64url')
  const context = {
    crypto: { random: (length) => randomBytes(length), digest: ({ digestAlgorithm, bytes }) => sha(bytes, digestAlgorithm) },
    cose: { sign1: { sign: ({ toBeSigned }) =>
      sign('sha256', toBeSigned, { key: createPrivateKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }) } },
  }
  const sessionTranscript = await SessionTranscript.forOid4Vp({
    clientId: audience, nonce, responseUri: request.response_uri, jwkThumbprint: thumbprint,
  }, context)
  const itemsRequest = ItemsRequest.create({
    docType: issued.issuerAuth.mobileSecurityObject.docType, namespaces: elements,
  })
  const response = await MdocHolder.createDeviceResponseForDeviceRequest({
    deviceRequest: DeviceRequest.create({ docRequests: [DocRequest.create({ itemsRequest })] }),
    sessionTranscript, issuerSigned: [issued],
    signature: { signingKey: CoseKey.fromJwk({ ...key, alg: 'ES256' }) },
  }, context)
  return response.encodedForOid4Vp
}

// The answer, encrypted to the verifier.
export const seal = (request, answer) => presenter.createOpenid4vpAuthorizationResponse({
  authorizationRequestPayload: request,
  authorizationResponsePayload: answer,
  jarm: {
    encryption: { nonce: randomBytes(12).toString('base64url') },
    serverMetadata: {
      authorization_signing_alg_values_supported: [],
      authorization_encryption_alg_values_supported: ['ECDH-ES'],
      authorization_encryption_enc_values_supported: ['A256GCM', 'A128GCM'],
    },
  },
})

// Post a sealed answer: {status, said}; `said.redirect_uri` is where a holder on the same device goes on.
export async function post(request, { authorizationResponsePayload, jarm }) {
  const { response } = await presenter.submitOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request, authorizationResponsePayload, jarm,
  })
  return { status: response.status, said: await response.json().catch(() => ({})) }
}
