/** `AbortSignal.any` that can be let go of: a signal that lives as long as the session would be one more to abort in a cut. */
export function eitherAborts(...signals: readonly AbortSignal[]): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController()
  const links = signals.map((signal) => ({ signal, abort: () => controller.abort(signal.reason) }))
  for (const { signal, abort } of links) {
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => links.forEach(({ signal, abort }) => signal.removeEventListener('abort', abort)),
  }
}
