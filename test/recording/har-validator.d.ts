declare module 'har-validator' {
  /** Rejects what is no HAR 1.2. */
  export function har(data: unknown): Promise<unknown>
}
