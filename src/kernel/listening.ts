/** An open listener. Disposing stops accepting, at once, and resolves when its connections are gone. */
export interface Listening extends AsyncDisposable {
  readonly address: string
  /** The real one, also when port 0 was asked for. */
  readonly port: number
}
