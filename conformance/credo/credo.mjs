// Credo (@credo-ts) as a wallet, as it is published: takes what is offered, then shows what is asked, in one run, for its
// keys and records live in memory here. Its storage in files (Askar) is a native library that npm does not carry, so the
// store below stands in: Credo asks whoever uses it for one. Lines of JSON in and out.
import { createInterface } from 'node:readline'
import {
  Agent, ConsoleLogger, DidsModule, InjectionSymbols, Kms, LogLevel, MdocRecord, RecordDuplicateError,
  RecordNotFoundError, SdJwtVcRecord, X509Module,
} from '@credo-ts/core'
import { agentDependencies, NodeInMemoryKeyManagementStorage, NodeKeyManagementService } from '@credo-ts/node'
import { OpenId4VcModule } from '@credo-ts/openid4vc'

class Memory {
  supportsCursorPagination = false
  #records = new Map()
  #key = (type, id) => `${type}/${id}`
  async save(_, record) {
    const key = this.#key(record.type, record.id)
    if (this.#records.has(key)) throw new RecordDuplicateError(`${key} is there`, { recordType: record.type })
    this.#records.set(key, record.clone())
  }
  async update(_, record) {
    await this.getById(_, record.constructor, record.id)
    this.#records.set(this.#key(record.type, record.id), record.clone())
  }
  async delete(_, record) { this.#records.delete(this.#key(record.type, record.id)) }
  async deleteById(_, kind, id) { this.#records.delete(this.#key(kind.type, id)) }
  async getById(_, kind, id) {
    const found = this.#records.get(this.#key(kind.type, id))
    if (!found) throw new RecordNotFoundError(`no ${id}`, { recordType: kind.type })
    return found.clone()
  }
  async getAll(_, kind) { return [...this.#records.values()].filter((one) => one.type === kind.type).map((one) => one.clone()) }
  async findByQuery(_, kind, query) { return (await this.getAll(_, kind)).filter((one) => matches(one.getTags(), query)) }
}
function matches(tags, { $and, $or, $not, ...rest }) {
  if ($and && !$and.every((one) => matches(tags, one))) return false
  if ($or && !$or.some((one) => matches(tags, one))) return false
  if ($not && matches(tags, $not)) return false
  return Object.entries(rest).every(([name, value]) => value === undefined || (Array.isArray(value)
    ? value.every((one) => tags[name]?.includes(one)) : tags[name] === value))
}

const roots = []
const agent = new Agent({
  config: { allowInsecureHttpUrls: true, autoUpdateStorageOnStartup: true, logger: new ConsoleLogger(process.env.CREDO_LOG ? LogLevel.debug : LogLevel.off) },
  dependencies: agentDependencies,
  modules: {
    store: { register: (manager) => manager.registerInstance(InjectionSymbols.StorageService, new Memory()) },
    kms: new Kms.KeyManagementModule({ backends: [new NodeKeyManagementService(new NodeInMemoryKeyManagementStorage())] }),
    dids: new DidsModule({ registrars: [], resolvers: [] }),
    x509: new X509Module({ getTrustedCertificatesForVerification: () => roots }),
    openid4vc: new OpenId4VcModule(),
  },
})
await agent.initialize()
const holder = agent.openid4vc.holder

const jobs = {
  async receive({ offer, code }) {
    const resolvedCredentialOffer = await holder.resolveCredentialOffer(offer)
    const token = await holder.requestToken({ resolvedCredentialOffer, txCode: code })
    const credentials = []
    // one call for each: within one call Credo asks for a nonce once, and the next proof would have none
    for (const id of resolvedCredentialOffer.credentialOfferPayload.credential_configuration_ids) {
      const got = await holder.requestCredentials({
        resolvedCredentialOffer, ...token, credentialConfigurationIds: [id], verifyCredentialStatus: true,
        credentialBindingResolver: async ({ issuerMaxBatchSize }) => ({
          method: 'jwk',
          keys: await Promise.all(Array.from({ length: Math.min(2, issuerMaxBatchSize) }, async () => {
            const { publicJwk } = await agent.kms.createKey({ type: { kty: 'EC', crv: 'P-256' } })
            return Kms.PublicJwk.fromPublicJwk(publicJwk)
          })),
        }),
      })
      credentials.push(...got.credentials)
    }
    const received = []
    for (const { record, notificationId, credentialConfigurationId } of credentials) {
      if (record instanceof SdJwtVcRecord) await agent.sdJwtVc.store({ record })
      if (record instanceof MdocRecord) await agent.mdoc.store({ record })
      if (notificationId) {
        await holder.sendNotification({
          metadata: resolvedCredentialOffer.metadata, notificationId, accessToken: token.accessToken, dpop: token.dpop,
          notificationEvent: 'credential_accepted',
        })
      }
      received.push({ configuration: credentialConfigurationId, copies: record.credentialInstances?.length })
    }
    return { tokenType: token.accessTokenResponse.token_type, received }
  },

  async present({ link }) {
    const resolved = await holder.resolveOpenId4VpAuthorizationRequest(link)
    if (!resolved.dcql?.queryResult.can_be_satisfied) return { error: 'nothing held answers what is asked' }
    const done = await holder.acceptOpenId4VpAuthorizationRequest({
      authorizationRequestPayload: resolved.authorizationRequestPayload,
      dcql: { credentials: holder.selectCredentialsForDcqlRequest(resolved.dcql.queryResult) },
    })
    return {
      verifier: resolved.verifier.effectiveClientId, name: resolved.verifier.clientMetadata?.client_name,
      status: done.serverResponse?.status, said: done.serverResponse?.body, onward: done.redirectUri ?? '',
    }
  },

  async trust({ certificates }) { roots.push(...certificates); return { trusted: roots.length } },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...job } = JSON.parse(line)
  try {
    console.log(JSON.stringify(await jobs[what](job)))
  } catch (error) {
    const causes = []
    for (let one = error; one; one = one.cause) causes.push(String(one.message ?? one))
    console.log(JSON.stringify({ error: causes.join(' <- '), stack: process.env.CREDO_LOG && error.stack }))
  }
}
await agent.shutdown()
