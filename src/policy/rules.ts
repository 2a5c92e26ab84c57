/** What a request takes: nobody, or this many distinct people out of any of these groups. */
export type Approval =
  | { readonly kind: 'none' }
  | { readonly kind: 'people'; readonly people: number; readonly from: readonly string[] }

/** One policy of the configuration file, checked. */
export interface Policy {
  readonly name: string
  readonly who: { readonly groups: readonly string[] }
  /** Absent fields match everything; all that are present must match. */
  readonly what: {
    readonly resources: readonly string[] | null
    readonly labels: Readonly<Record<string, string>>
    readonly roles: readonly string[] | null
  }
  readonly length: { readonly defaultMs: number; readonly mostMs: number }
  readonly reason: 'required' | 'optional'
  /** `pattern` is anchored at both ends. */
  readonly ticket: { readonly pattern: RegExp; readonly link: string | null; readonly required: boolean } | null
  readonly approval: Approval
}
