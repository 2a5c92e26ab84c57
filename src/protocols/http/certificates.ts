import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { TlsIdentity, WebListener } from '../../config/config.ts'

interface Offered {
  readonly certificate: X509Certificate
  readonly context: SecureContext
}

/**
 * What a TLS server shows: the first of `certificates` that is for the name that the client asks for, else the listener's own.
 * @returns options of `tls.createServer`
 * @throws when a certificate does not fit its key.
 */
export function createCertificates({ tls, certificates }: Pick<WebListener, 'tls' | 'certificates'>) {
  const offered = certificates.map(offer)
  return {
    cert: tls.certificate,
    key: tls.key.reveal(),
    SNICallback: (name: string, answer: (error: Error | null, context?: SecureContext) => void) => {
      const fitting = offered.find(({ certificate }) => certificate.checkHost(name, { subject: 'never' }) !== undefined)
      answer(null, fitting?.context)
    },
  }
}

function offer({ certificate, key }: TlsIdentity): Offered {
  return {
    certificate: new X509Certificate(certificate),
    context: createSecureContext({ cert: certificate, key: key.reveal() }),
  }
}
