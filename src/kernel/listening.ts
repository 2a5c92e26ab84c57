/** An open listener. Disposing stops accepting, at once, and resolves when its connections are gone. */
export interface Listening extends AsyncDisposable {
  readonly address: string
  /** The real one, also when port 0 was asked for. */
  readonly port: number
}

/** One that shows a certificate. */
export interface ListeningWithTls<Settings> extends Listening {
  /**
   * Makes the certificates of `settings` ready; nothing else of them is looked at.
   * @returns shows them to whoever connects from then on; never throws.
   * @throws when one does not fit its key, or is not good enough for TLS.
   */
  renewal(settings: Settings): () => void
}
