/** What this project uses of the oidc-provider library, which ships no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface StoredPayload {
    accountId?: string
    grantId?: string
    uid?: string
    userCode?: string
    consumed?: number
    authorizations?: Record<string, { sid?: string; grantId?: string }>
  }
  export interface ProviderAdapter {
    upsert(id: string, payload: StoredPayload, expiresInSeconds?: number): Promise<void>
    find(id: string): Promise<StoredPayload | undefined>
    findByUid(uid: string): Promise<StoredPayload | undefined>
    findByUserCode(userCode: string): Promise<StoredPayload | undefined>
    consume(id: string): Promise<void>
    destroy(id: string): Promise<void>
    revokeByGrantId(grantId: string): Promise<void>
  }
  export interface ProviderContext {
    type: string
    body: string
    set(header: string, value: string): void
    readonly response: { set(header: string, value: string): void }
  }
  export interface InteractionDetails {
    readonly uid: string
    readonly prompt: { readonly name: string; readonly details: Readonly<Record<string, unknown>> }
    readonly params: Readonly<Record<string, unknown>>
    readonly session?: { readonly accountId: string }
    readonly grantId?: string
  }
  export interface ProviderGrant {
    addOIDCScope(scope: string): void
    addOIDCClaims(claims: readonly string[]): void
    addResourceScope(resource: string, scope: string): void
    save(): Promise<string>
  }
  export interface ProviderClient {
    readonly clientId: string
    readonly backchannelLogoutUri?: string
    backchannelLogout(subject: string, sid: string | undefined): Promise<void>
  }
  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>)
    readonly Grant: {
      new (of: { accountId: string; clientId: string }): ProviderGrant
      find(id: string): Promise<ProviderGrant | undefined>
    }
    readonly Client: { find(id: string): Promise<ProviderClient | undefined> }
    use(middleware: (context: ProviderContext, next: () => Promise<void>) => Promise<void>): void
    callback(): (request: IncomingMessage, response: ServerResponse) => void
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<InteractionDetails>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Readonly<Record<string, unknown>>,
      options?: { mergeWithLastSubmission?: boolean },
    ): Promise<void>
    on(event: string, listener: (...details: readonly unknown[]) => void): this
  }
}
