/** An open listener. Disposing stops accepting, at once, and resolves when its connections are gone. */
export interface Listening extends AsyncDisposable {
  readonly address: string
  /** The real one, also when port 0 was asked for. */
  readonly port: number
}

/** One that shows a certificate. */
export interface ListeningWithTls<Settings> extends Listening {
  /**
   * Whoever connects from now on is shown the certificates of `settings`; nothing else of them is looked at.
   * @throws when a certificate does not fit its key; nothing has changed then.
   */
  renew(settings: Settings): void
}
