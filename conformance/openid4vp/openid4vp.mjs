// The same holder as the wallet, but not always honest. For each line of JSON one answer to one request, and a line of what
// came of it.
import { createInterface } from 'node:readline'
import { choose, newKey, post, privateOf, resolve, seal, show } from './holder.mjs'

async function answer(job) {
  const { request, version, query, client } = await resolve(job.link)
  const seen = { version, verifier: client.prefix, claims: query.credentials.map((one) => one.claims) }
  if (job.only === 'read') return seen
  if (job.only === 'decline') return { ...seen, ...await post(request, await seal(request, { error: 'access_denied' })) }
  const twist = { nonce: job.nonce, audience: job.audience }
  if (job.stranger) {
    twist.key = await privateOf(await newKey())
  }
  const shown = {}
  for (const one of await choose(query, job.held)) {
    const space = one.asked.format === 'mso_mdoc' ? [one.asked.claims[0].path[0]] : []
    for (const name of job.more ?? []) one.paths.push([...space, name])
    if (job.less) one.paths.length = 1
    shown[job.id ?? one.asked.id] = job.presentations ?? [await show(one, request, twist)]
  }
  const sealed = await seal(request, { vp_token: shown })
  if (job.open) {
    const form = new URLSearchParams({ vp_token: JSON.stringify(shown), state: request.state })
    const reply = await fetch(request.response_uri, { method: 'POST', body: form })
    return { ...seen, status: reply.status, said: await reply.json() }
  }
  const told = await post(request, sealed)
  const again = job.again ? await post(request, sealed) : undefined
  return { ...seen, ...told, again, presentations: Object.values(shown)[0] }
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await answer(JSON.parse(line))))
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.message ?? error), response: error.errorResponse }))
  }
}
