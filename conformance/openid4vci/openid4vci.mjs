// A wallet and a checker out of other people's packages, as they are published. One job a run: JSON in, JSON out.
import { Buffer } from 'node:buffer'
import { createHash, createPublicKey, randomBytes, verify as verifySignature, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { clientAuthenticationAnonymous, clientAuthenticationNone } from '@openid4vc/oauth2'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { digest, generateSalt, ES256 } from '@sd-jwt/crypto-nodejs'
import { ask, client, newKey, takePreauthorised } from './holder.mjs'

const require = createRequire(import.meta.url)
const mdl = require('@auth0/mdl')
const { cborDecode, cborEncode } = require('@auth0/mdl/lib/cbor')

const job = JSON.parse(readFileSync(0, 'utf8'))
const pem = (der) => `-----BEGIN CERTIFICATE-----\n${der}\n-----END CERTIFICATE-----\n`

const jobs = {
  async metadata() {
    const issuerMetadata = await client(clientAuthenticationAnonymous()).resolveIssuerMetadata(job.issuer)
    return {
      version: issuerMetadata.originalDraftVersion,
      configurations: Object.keys(issuerMetadata.credentialIssuer.credential_configurations_supported),
    }
  },

  // an offer with a transaction code, DPoP, a nonce, several copies in one request, and a second format
  async preauthorised() {
    const wallet = client(clientAuthenticationAnonymous())
    const credentialOffer = await wallet.resolveCredentialOffer(job.link)
    let refused = ''
    if (job.wrong) {
      try {
        await takePreauthorised(wallet, credentialOffer, job.wrong, job.count)
      } catch (error) { refused = error.errorResponse?.error ?? String(error) }
    }
    return { refused, ...await takePreauthorised(wallet, credentialOffer, job.code, job.count) }
  },

  // by signing in: PAR, PKCE, a browser with a session, RFC 9207; and, if the record waits, the deferred endpoint
  async signing() {
    const wallet = client(clientAuthenticationNone({ clientId: job.client }))
    const credentialOffer = await wallet.resolveCredentialOffer(job.link)
    const issuerMetadata = await wallet.resolveIssuerMetadata(credentialOffer.credential_issuer)
    const [configuration] = credentialOffer.credential_configuration_ids
    const dpopKey = { signer: { method: 'jwk', publicJwk: await newKey(), alg: 'ES256' } }
    const begun = await wallet.initiateAuthorization({
      clientId: job.client, credentialOffer, issuerMetadata, redirectUri: job.redirect, scope: configuration,
      state: 'a-state-of-the-wallet', dpop: dpopKey,
    })
    const back = await browse(begun.authorizationRequestUrl)
    const answer = wallet.parseAndVerifyAuthorizationResponseRedirectUrl({
      url: back,
      authorizationServerMetadata: issuerMetadata.authorizationServers[0],
    })
    const { accessTokenResponse, dpop } = await wallet.retrieveAuthorizationCodeAccessTokenFromOffer({
      issuerMetadata, credentialOffer, authorizationCode: answer.code, pkceCodeVerifier: begun.pkce.codeVerifier,
      redirectUri: job.redirect, dpop: dpopKey,
    })
    let got = await ask(wallet, issuerMetadata, accessTokenResponse.access_token, dpop, configuration, 1)
    let waited = 0
    while (got.answer.transaction_id && waited < 60) {
      if (waited++ === 0) process.stderr.write('waiting\n') // whoever started us approves it now
      await new Promise((resolve) => setTimeout(resolve, 500))
      const later = await wallet.retrieveDeferredCredentials({
        issuerMetadata, accessToken: accessTokenResponse.access_token, dpop: got.dpop,
        transactionId: got.answer.transaction_id,
      })
      got = { ...got, answer: later.deferredCredentialResponse, dpop: later.dpop ?? got.dpop }
    }
    return {
      pushed: new URL(begun.authorizationRequestUrl).searchParams.has('request_uri'), waited,
      credentials: got.answer.credentials.map((one) => one.credential),
    }
  },

  // --- checking -------------------------------------------------------------------------------------------------------

  async check() {
    const checker = new SDJwtVcInstance({
      hasher: digest, saltGenerator: generateSalt, hashAlg: 'sha-256', verifier: byCertificate, kbVerifier: byHolder,
      statusListFetcher: async (uri) => {
        const reply = await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })
        return reply.text()
      },
      statusVerifier: byCertificate,
      loadTypeMetadataFormat: true,
      vctFetcher: async (vct, integrity) => {
        const reply = await fetch(job.types[vct])
        const text = await reply.text()
        const found = `sha256-${createHash('sha256').update(text).digest('base64')}`
        if (found !== integrity) throw new Error('vct#integrity')
        return JSON.parse(text)
      },
    })
    const found = []
    for (const [n, credential] of job.credentials.entries()) {
      try {
        const holder = new SDJwtVcInstance({
          hasher: digest, saltGenerator: generateSalt, kbSigner: await ES256.getSigner(job.keys[n]), kbSignAlg: 'ES256',
        })
        const nonce = randomBytes(12).toString('hex')
        const payload = { iat: Math.floor(Date.now() / 1000), aud: 'https://verifier.example', nonce }
        const presented = await holder.present(credential, job.frame, { kb: { payload } })
        const good = await checker.verify(presented, { keyBindingNonce: nonce, requiredClaimKeys: job.required })
        found.push({ payload: good.payload, type: good.typeMetadata?.mergedTypeMetadata?.vct, presented, nonce })
      } catch (error) { found.push({ error: String(error.message ?? error) }) }
    }
    return { found }
  },

  async checkMdoc() {
    const transcript = Buffer.from(job.transcript, 'hex')
    const found = []
    for (const [n, credential] of job.credentials.entries()) {
      const issued = cborDecode(Buffer.from(credential, 'base64url'))
      const whole = cborEncode(new Map([['version', '1.0'], ['status', 0], ['documents', [
        new Map([['docType', job.doctype], ['issuerSigned', issued]]),
      ]]]))
      const definition = { id: 'one', input_descriptors: [{
        id: job.doctype, format: { mso_mdoc: { alg: ['ES256'] } },
        constraints: { limit_disclosure: 'required', fields: job.elements.map((name) => ({
          path: [`$['${job.doctype}']['${name}']`], intent_to_retain: false,
        })) },
      }] }
      const signed = await mdl.DeviceResponse.from(mdl.parse(whole))
        .usingPresentationDefinition(definition)
        .usingSessionTranscriptBytes(transcript)
        .authenticateWithSignature(job.keys[n], 'ES256')
        .sign()
      const encoded = signed.encode()
      const failed = []
      await new mdl.Verifier(job.roots.map(pem)).verify(encoded, {
        encodedSessionTranscript: transcript,
        disableCertificateChainValidation: job.roots.length === 0,
        onCheck: (check, original) => {
          if (check.status === 'FAILED') failed.push(`${check.category}: ${check.check} ${check.reason ?? ''}`)
        },
      })
      found.push({ response: Buffer.from(encoded).toString('base64url'), failed })
    }
    return { found }
  },
}

function byCertificate(data, signature, options) {
  const header = JSON.parse(Buffer.from(data.split('.')[0], 'base64url'))
  if (!job.roots.includes(header.x5c.at(-1))) {
    const leaf = new X509Certificate(Buffer.from(header.x5c.at(-1), 'base64'))
    if (!job.roots.some((root) => leaf.verify(new X509Certificate(Buffer.from(root, 'base64')).publicKey))) return false
  }
  const { publicKey } = new X509Certificate(Buffer.from(header.x5c[0], 'base64'))
  return verifySignature('sha256', Buffer.from(data), { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
}
function byHolder(data, signature, payload) {
  const key = createPublicKey({ key: payload.cnf.jwk, format: 'jwk' })
  return verifySignature('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
}

// a browser that has a session at the node, and allows what it is asked
async function browse(url) {
  let cookie = job.cookie
  let next = url
  for (let step = 0; step < 8; step++) {
    if (next.startsWith(job.redirect)) return next
    const reply = await fetch(next, { redirect: 'manual', headers: { cookie, accept: 'text/html' } })
    for (const one of reply.headers.getSetCookie()) cookie += `; ${one.split(';')[0]}`
    if (reply.status >= 300 && reply.status < 400) {
      next = new URL(reply.headers.get('location'), next).href
      continue
    }
    const page = await reply.text()
    if (reply.status !== 200) throw new Error(`${reply.status} at ${next}`)
    const form = page.split('<form').find((one) => one.includes('value="allow"'))
    if (!form) throw new Error(`nothing to allow at ${next}`)
    const fields = new URLSearchParams()
    for (const [tag] of form.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
      fields.append(/name="([^"]*)"/.exec(tag)[1], /value="([^"]*)"/.exec(tag)?.[1] ?? '')
    }
    fields.append('answer', 'allow')
    const said = await fetch(new URL(/action="([^"]*)"/.exec(form)?.[1] || next, next), {
      method: 'POST', redirect: 'manual', body: fields,
      headers: { cookie, referer: next, origin: new URL(next).origin },
    })
    if (said.status < 300 || said.status >= 400) throw new Error(`consent: ${said.status} ${(await said.text()).slice(0, 300)}`)
    next = new URL(said.headers.get('location'), next).href
  }
  throw new Error(`lost at ${next}`)
}

try {
  process.stdout.write(JSON.stringify(await jobs[job.do]()))
} catch (error) {
  process.stdout.write(JSON.stringify({ error: String(error.stack ?? error), response: error.errorResponse ?? error.response?.credentialErrorResponseResult }))
  process.exitCode = 1
}
