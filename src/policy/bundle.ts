/** Several things that are asked for together, by a name of their own. Each is decided by its own policy. */
export interface Bundle {
  readonly name: string
  readonly description: string
  readonly items: readonly BundleItem[]
}

export interface BundleItem {
  readonly resource: string
  readonly role: string
  /** Null: as long as is asked for, or as its policy offers. */
  readonly lengthMs: number | null
}
