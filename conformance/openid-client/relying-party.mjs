// A service built on openid-client, unmodified. It talks to check.py in lines of JSON: {"go": url} asks for a browser to be
// sent there, and the address that the browser came back with is read as a line; {"step": …, "ok": …} tells how a step ended.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import * as client from 'openid-client'
import * as jose from 'jose'

const say = (told) => process.stdout.write(JSON.stringify(told) + '\n')
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const hear = async () => JSON.parse((await lines.next()).value)
const heard = []  // logout tokens
const site = createServer((request, response) => {
  let body = ''
  request.on('data', (piece) => { body += piece })
  request.on('end', () => { heard.push(new URLSearchParams(body).get('logout_token')); response.end() })
})
await new Promise((ready) => site.listen(0, '127.0.0.1', ready))
const home = `http://127.0.0.1:${site.address().port}`
const back = `${home}/back`

const keys = await jose.generateKeyPair('ES256', { extractable: true })
const jwk = { ...(await jose.exportJWK(keys.publicKey)), kid: 'rp-1', use: 'sig', alg: 'ES256' }
say({ home, jwk })
const { issuer, id, open } = await hear()

let passed = 0, failed = 0
async function step(name, act) {
  try {
    await act()
    passed += 1
    say({ step: name, ok: true })
  } catch (error) {
    failed += 1
    say({ step: name, ok: false, why: `${error.code ?? ''} ${error.message} ${JSON.stringify(error.cause ?? '')}` })
  }
}
const check = (true_, what) => { if (!true_) throw new Error(`not so: ${what}`) }
async function refused(promise, code) {
  try { await promise } catch (error) {
    check(error.error === code || error.cause?.[0]?.parameters?.error === code, `${code}, but ${error.error ?? error.message}`)
    return error
  }
  throw new Error(`was not refused with ${code}`)
}
const discover = (who, auth) => client.discovery(new URL(issuer), who, { id_token_signed_response_alg: 'ES256' }, auth, {
  execute: [client.allowInsecureRequests],
})

let config, DPoP, tokens, subject
const browse = async (url) => { say({ go: url.href }); return new URL((await hear()).back) }
async function ask(build, more = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const parameters = {
    redirect_uri: back, scope: 'openid profile offline_access', state, nonce, response_type: 'code',
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
  }
  const url = await build(parameters)
  const came = await browse(url)
  return { came, checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true } }
}
const redeem = ({ came, checks }, how = DPoP) => client.authorizationCodeGrant(config, came, checks, undefined, how && { DPoP: how })

await step('discovery', async () => {
  config = await discover(id, client.PrivateKeyJwt({ key: keys.privateKey, kid: 'rp-1' }))
  check(config.serverMetadata().supportsPKCE(), 'S256 is announced')
  DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
})
await step('login: PAR, PKCE, DPoP, private_key_jwt', async () => {
  tokens = await redeem(await ask((p) => client.buildAuthorizationUrlWithPAR(config, p, { DPoP })))
  check(tokens.token_type === 'dpop', 'tokens are bound')
  subject = tokens.claims().sub
  check(tokens.claims().acr.startsWith('urn:wantong:acr:'), 'acr')
})
await step('userinfo', async () => {
  const told = await client.fetchUserInfo(config, tokens.access_token, subject, { DPoP })
  check(told.preferred_username === 'kapok', 'preferred_username')
})
await step('a token without its key opens nothing', async () => {
  const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const answer = await client.fetchUserInfo(config, tokens.access_token, subject, { DPoP: other }).then(() => 'in', (error) => error)
  check(answer !== 'in' && answer.status === 401, '401')
})
await step('refresh: rotation', async () => {
  const first = tokens.refresh_token
  tokens = await client.refreshTokenGrant(config, first, undefined, { DPoP })
  check(tokens.refresh_token && tokens.refresh_token !== first, 'another refresh token')
  check(tokens.claims().sub === subject, 'the same subject')
  await refused(client.refreshTokenGrant(config, first, undefined, { DPoP }), 'invalid_grant')
})
await step('refresh: an old token that comes back ends the family', async () => {
  await refused(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP }), 'invalid_grant')
  const answer = await client.fetchUserInfo(config, tokens.access_token, subject, { DPoP }).then(() => 'in', (error) => error)
  check(answer !== 'in' && answer.status === 401, 'the access token too')
})
await step('login: signed request object (JAR)', async () => {
  tokens = await redeem(await ask((p) => client.buildAuthorizationUrlWithJAR(config, p, { key: keys.privateKey, kid: 'rp-1' })))
  check(tokens.claims().sub === subject, 'the same subject')
})
await step('login: silently, by prompt=none with a hint', async () => {
  const asked = await ask((p) => client.buildAuthorizationUrl(config, p), { prompt: 'none', id_token_hint: tokens.id_token })
  tokens = await redeem(asked)
  check(tokens.claims().sub === subject, 'the same subject')
})
await step('login: max_age', async () => {
  const { came, checks } = await ask((p) => client.buildAuthorizationUrl(config, p), { max_age: '3600' })
  tokens = await redeem({ came, checks: { ...checks, maxAge: 3600 } })
})
await step('a code comes back once', async () => {
  const asked = await ask((p) => client.buildAuthorizationUrlWithPAR(config, p, { DPoP }))
  await redeem(asked)
  await refused(redeem(asked), 'invalid_grant')
})
await step('a wrong verifier', async () => {
  const asked = await ask((p) => client.buildAuthorizationUrlWithPAR(config, p, { DPoP }))
  await refused(redeem({ came: asked.came, checks: { ...asked.checks, pkceCodeVerifier: client.randomPKCECodeVerifier() } }), 'invalid_grant')
})
await step('errors carry iss and state', async () => {
  const { came, checks } = await ask((p) => client.buildAuthorizationUrl(config, p), { scope: 'openid email' , prompt: 'none' })
  await refused(client.authorizationCodeGrant(config, came, checks), 'consent_required')
})
await step('revocation', async () => {
  tokens = await redeem(await ask((p) => client.buildAuthorizationUrlWithPAR(config, p, { DPoP })))
  await client.tokenRevocation(config, tokens.refresh_token)
  await refused(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP }), 'invalid_grant')
})
await step('introspection by the resource server', async () => {
  const { came, checks } = await ask((p) => client.buildAuthorizationUrl(config, p), { resource: `${home}/api` })
  const elsewhere = await client.authorizationCodeGrant(config, came, checks, { resource: `${home}/api` }, { DPoP })
  const told = await client.tokenIntrospection(config, elsewhere.access_token)
  check(told.active && told.aud === `${home}/api` && told.cnf.jkt, 'active')
})
await step('a public client', async () => {
  const kept = config
  config = await discover(open, client.None())
  const asked = await ask((p) => client.buildAuthorizationUrl(config, p), { scope: 'openid' })
  const mine = await redeem(asked, client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')))
  check(mine.claims().sub === subject, 'one host, one subject')
  config = kept
})
await step('logout, and back', async () => {
  tokens = await redeem(await ask((p) => client.buildAuthorizationUrlWithPAR(config, p, { DPoP }), { scope: 'openid profile' }))
  const url = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: `${home}/bye`, state: 'out' })
  const came = await browse(url)
  check(came.href === `${home}/bye?state=out`, came.href)
  await refused(client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP }), 'invalid_grant')
})
await step('back-channel logout', async () => {
  const set = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
  const sid = tokens.claims().sid
  for (let tries = 0; tries < 100; tries += 1) {
    for (const token of heard) {
      const { payload } = await jose.jwtVerify(token, set, { issuer, audience: [id, open], typ: 'logout+jwt', algorithms: ['ES256'] })
      if (payload.sid === sid) {
        check(payload.events['http://schemas.openid.net/event/backchannel-logout'] && !payload.nonce && payload.sub === subject, 'claims')
        return
      }
    }
    await new Promise((wait) => setTimeout(wait, 100))
  }
  throw new Error('nothing was heard')
})
await step('nobody is signed in any more', async () => {
  const { came, checks } = await ask((p) => client.buildAuthorizationUrl(config, p), { prompt: 'none' })
  await refused(client.authorizationCodeGrant(config, came, checks), 'login_required')
})
say({ passed, failed })
site.close()
process.exit(failed ? 1 : 0)
