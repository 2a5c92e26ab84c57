import type { GrantId } from '../src/kernel/ids.ts'

/** What a benchmark tells its gateway process to do. */
export type Command =
  | { readonly kind: 'token' }
  | { readonly kind: 'grant'; readonly resource: string; readonly role: string; readonly lengthMs: number }
  /** An SSH certificate for a key: one line as in `id_ed25519.pub`. */
  | { readonly kind: 'certificate'; readonly publicKey: string }
  /** Signed in at an application as a role that there is a grant for. */
  | { readonly kind: 'cookie'; readonly resource: string; readonly role: string; readonly host: string }
  | { readonly kind: 'revoke'; readonly grant: GrantId }
  /** Whoever connects from there is signed in. */
  | { readonly kind: 'remember'; readonly address: string }
  /** `collect`: garbage, before it is looked at. */
  | { readonly kind: 'usage'; readonly collect?: boolean }
  | { readonly kind: 'ends'; readonly grant: GrantId; readonly count: number }

export type Reply =
  /** 0 where there is no such listener. */
  | { readonly kind: 'ready'; readonly webPort: number; readonly postgresPort: number; readonly sshPort: number }
  | { readonly kind: 'certificate'; readonly certificate: string }
  | { readonly kind: 'token'; readonly text: string }
  /** As the `Cookie` header has it. */
  | { readonly kind: 'cookie'; readonly text: string }
  | { readonly kind: 'grant'; readonly grant: GrantId; readonly expiresAt: number }
  /** `startedAt`: wall clock when the call began. */
  | { readonly kind: 'revoked'; readonly startedAt: number; readonly callMs: number }
  /** The cut latencies that the gateway itself measured and wrote down, one for each session under the grant. */
  | { readonly kind: 'ends'; readonly toldMs: readonly number[] }
  | { readonly kind: 'remembered' }
  | {
      readonly kind: 'usage'
      readonly cpuMs: number
      readonly rssBytes: number
      readonly heapBytes: number
      /** Buffers and what else V8 is told of. */
      readonly externalBytes: number
      readonly live: number
    }
