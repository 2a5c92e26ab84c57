import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions, type Server } from 'node:tls'
import type { TlsIdentity, WebListener } from '../../config/config.ts'

interface Offered {
  readonly certificate: X509Certificate
  readonly context: SecureContext
}

type Shown = Pick<WebListener, 'tls' | 'certificates'>

/** What a TLS server shows: the first of `certificates` that is for the name that the client asks for, else the listener's own. */
export class Certificates {
  #own: { readonly cert: string; readonly key: string }
  #offered: readonly Offered[]

  /** @throws when a certificate does not fit its key. */
  constructor({ tls, certificates }: Shown) {
    this.#own = ownOf(tls)
    this.#offered = certificates.map(offer)
  }

  /** Options of `tls.createServer`. */
  get options() {
    return {
      ...this.#own,
      SNICallback: (name: string, answer: (error: Error | null, context?: SecureContext) => void) => {
        const isFor = ({ certificate }: Offered) => certificate.checkHost(name, { subject: 'never' }) !== undefined
        answer(null, this.#offered.find(isFor)?.context)
      },
    }
  }

  /** @returns replaces them; never throws. @throws when a certificate does not fit its key, or is not good enough for TLS. */
  replacement({ tls, certificates }: Shown, server: Pick<Server, 'setSecureContext'>, rest: SecureContextOptions) {
    const offered = certificates.map(offer)
    const own = ownOf(tls)
    createSecureContext({ ...rest, ...own }) // the server makes its own, later
    return (): void => {
      server.setSecureContext({ ...rest, ...own })
      this.#own = own
      this.#offered = offered
    }
  }
}

function ownOf({ certificate, key }: TlsIdentity) {
  return { cert: certificate, key: key.reveal() }
}

function offer({ certificate, key }: TlsIdentity): Offered {
  return {
    certificate: new X509Certificate(certificate),
    context: createSecureContext({ cert: certificate, key: key.reveal() }),
  }
}
