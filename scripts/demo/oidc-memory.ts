import type { ProviderAdapter, StoredPayload } from 'oidc-provider'

interface Kept {
  readonly payload: StoredPayload
  readonly overAtMs: number
}

/** Everything the demo's provider remembers: one map for all of the library's models, gone with the process. */
export class ProviderMemory {
  readonly #kept = new Map<string, Kept>()

  adapter(model: string): ProviderAdapter {
    const key = (id: string) => `${model}:${id}`
    return {
      upsert: async (id, payload, expiresInSeconds) => this.#put(key(id), payload, expiresInSeconds),
      find: async (id) => this.#get(key(id)),
      findByUid: async (uid) => this.#where(model, (payload) => payload.uid === uid)[0]?.payload,
      findByUserCode: async (code) => this.#where(model, (payload) => payload.userCode === code)[0]?.payload,
      consume: async (id) => {
        const payload = this.#get(key(id))
        if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000)
      },
      destroy: async (id) => void this.#kept.delete(key(id)),
      revokeByGrantId: async (grantId) => this.#drop(model, (payload) => payload.grantId === grantId),
    }
  }

  /** The browser sessions of one person. */
  sessionsOf(accountId: string): readonly StoredPayload[] {
    return this.#where('Session', (payload) => payload.accountId === accountId).map(({ payload }) => payload)
  }

  /** Ends what this person holds: sessions, grants, tokens. */
  forget(accountId: string): void {
    for (const [key, { payload }] of this.#kept) if (payload.accountId === accountId) this.#kept.delete(key)
  }

  #put(key: string, payload: StoredPayload, expiresInSeconds: number | undefined): void {
    const overAtMs = expiresInSeconds === undefined ? Infinity : Date.now() + expiresInSeconds * 1000
    this.#kept.set(key, { payload, overAtMs })
    if (this.#kept.size % 1000 === 0) this.#sweep()
  }

  #get(key: string): StoredPayload | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined || kept.overAtMs > Date.now()) return kept?.payload
    this.#kept.delete(key)
    return undefined
  }

  #where(model: string, matches: (payload: StoredPayload) => boolean): { key: string; payload: StoredPayload }[] {
    const found = []
    for (const [key, { payload, overAtMs }] of this.#kept) {
      if (key.startsWith(`${model}:`) && overAtMs > Date.now() && matches(payload)) found.push({ key, payload })
    }
    return found
  }

  #drop(model: string, matches: (payload: StoredPayload) => boolean): void {
    for (const { key } of this.#where(model, matches)) this.#kept.delete(key)
  }

  #sweep(): void {
    for (const [key, { overAtMs }] of this.#kept) if (overAtMs <= Date.now()) this.#kept.delete(key)
  }
}
