import { Fault } from '../../../kernel/fault.ts'

/** What OpenSSL and Node say, as a sentence after the resource's name. */
const tlsSentences: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'shows a certificate that has expired.',
  CERT_NOT_YET_VALID: 'shows a certificate that is not valid yet.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'shows a certificate for another name.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'shows a certificate of an authority that the gateway does not trust.',
  SELF_SIGNED_CERT_IN_CHAIN: 'shows a certificate of an authority that the gateway does not trust.',
  UNABLE_TO_GET_ISSUER_CERT: 'shows a certificate of an authority that the gateway does not trust.',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'shows a certificate of an authority that the gateway does not trust.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'shows a certificate of an authority that the gateway does not trust.',
  CERT_REVOKED: 'shows a certificate that was revoked.',
  INVALID_PURPOSE: 'shows a certificate that is not for servers.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS there.',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'does not speak TLS there.',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'speaks no TLS version from 1.2 on.',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'speaks no TLS version from 1.2 on.',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'does not speak the HTTP version that the gateway expects.',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'asks for a client certificate that this role does not have.',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "does not trust the authority of the role's client certificate.",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "refused the role's client certificate.",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "says that the role's client certificate has expired.",
}

const answerSentences: Readonly<Record<string, string>> = {
  ANSWER_HEAD_TOO_LARGE: 'sent more header fields than the gateway takes.',
  ANSWER_MALFORMED: 'sent an answer that is not HTTP.',
  HPE_HEADER_OVERFLOW: 'sent more header fields than the gateway takes.',
  ECONNRESET: 'closed the connection before it answered.',
  EPIPE: 'closed the connection before it answered.',
  ERR_HTTP2_STREAM_CANCEL: 'closed the connection before it answered.',
  ERR_HTTP2_STREAM_ERROR: 'broke off before it answered.',
  ERR_HTTP2_SESSION_ERROR: 'broke off before it answered.',
}

/** Why TLS did not come about: for the person, without addresses; the cause is for the log. */
export function tlsFault(name: string, error: unknown): Fault {
  const sentence = tlsSentences[codeOf(error)] ?? 'could not prove who it is.'
  return new Fault('UPSTREAM_TLS', `${name} ${sentence}`, { cause: error })
}

/** Why there is no answer from a target that was reached. */
export function answerFault(name: string, error: unknown): Fault {
  if (error instanceof Fault) return error
  const code = codeOf(error)
  // TLS 1.3: what the target thinks of our certificate arrives after the handshake.
  if (code.startsWith('ERR_SSL_')) return tlsFault(name, error)
  const sentence =
    answerSentences[code] ?? (code.startsWith('HPE_') ? 'sent an answer that is not HTTP.' : 'did not answer.')
  return new Fault('UPSTREAM_UNREACHABLE', `${name} ${sentence}`, { cause: error })
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
