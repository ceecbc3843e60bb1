// A wallet at the command line, out of other people's packages; what it holds lies in one file of JSON.
//   node wallet.mjs receive OFFER   --store FILE [--code TRANSACTION_CODE] [--copies N]
//   node wallet.mjs present REQUEST --store FILE
//   node wallet.mjs list            --store FILE
// Prints one line of JSON. Exit status: 0 done, 1 not.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { clientAuthenticationAnonymous } from '@openid4vc/oauth2'
import { choose, client, post, resolve, seal, show, takePreauthorised } from './holder.mjs'

const { values: options, positionals: [verb, link] } = parseArgs({
  allowPositionals: true,
  options: { store: { type: 'string' }, code: { type: 'string' }, copies: { type: 'string', default: '1' } },
})
const held = existsSync(options.store) ? JSON.parse(readFileSync(options.store, 'utf8')) : []

const verbs = {
  async receive() {
    const wallet = client(clientAuthenticationAnonymous())
    const offer = await wallet.resolveCredentialOffer(link)
    const { found } = await takePreauthorised(wallet, offer, options.code, Number(options.copies))
    for (const [configuration, { format, credentials, keys }] of Object.entries(found)) {
      for (const [n, credential] of credentials.entries()) held.push({ configuration, format, credential, key: keys[n] })
    }
    writeFileSync(options.store, JSON.stringify(held), { mode: 0o600 })
    return { issuer: offer.credential_issuer, received: Object.keys(found), held: held.length }
  },

  async present() {
    const { request, client: verifier, query } = await resolve(link)
    const chosen = await choose(query, held)
    if (!chosen) throw new Error('nothing held answers what is asked')
    const shown = {}
    for (const one of chosen) shown[one.asked.id] = [await show(one, request)]
    const { status, said } = await post(request, await seal(request, { vp_token: shown }))
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(said)}`)
    return {
      verifier: verifier.identifier, status, onward: said.redirect_uri ?? '',
      shown: chosen.map(({ asked, held: { configuration }, paths }) => ({ id: asked.id, configuration, paths })),
    }
  },

  async list() {
    return held.map(({ configuration, format }) => ({ configuration, format }))
  },
}

try {
  console.log(JSON.stringify(await verbs[verb]()))
} catch (error) {
  console.log(JSON.stringify({ error: String(error.message ?? error), told: error.errorResponse ?? error.response?.credentialErrorResponseResult }))
  process.exitCode = 1
}
