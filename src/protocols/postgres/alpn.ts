/** What PostgreSQL is called where TLS asks which protocol follows (ALPN). */
export const alpnName = 'postgresql'

/**
 * As options of TLS take it: in the form of the wire. Of a list of names Node makes bytes in its shared pool, of which
 * each connection would keep 64 KiB together with nineteen others; a view is copied into memory of its own.
 * @see RFC 7301 section 3.1, ProtocolNameList: each name behind its length
 */
export const alpnProtocols: DataView = new DataView(Uint8Array.from([alpnName.length, ...Buffer.from(alpnName)]).buffer)
