/** One change to the library's text. `from` stands there exactly once; with `until`, all up to that goes, too. */
export interface Edit {
  readonly why: string
  readonly from: string
  /** Exclusive. */
  readonly until?: string
  readonly to: string
}

/** `curfew` is what extensions.ts makes. */
export const edits: Readonly<Record<string, readonly Edit[]>> = {
  'kex.js': [
    {
      why: 'the hybrid exchange, checked X25519, and group exchange in the server role',
      from: 'switch (kexType) {',
      to: 'const own = curfew.exchange(kexType, { KeyExchange, Curve25519Exchange }, args); if (own) return own; switch (kexType) {',
    },
    {
      why: 'the server answers the offer of this client',
      from: 'const local = self._offer;\n  const remote = init;',
      to: `if (self._server && self._kexinit === undefined && self._kex === undefined) {
    self._offer = new KexInit(curfew.answer(self._offer.lists, init));
    kexinit(self);
  }
  const local = self._offer;
  const remote = init;`,
    },
    {
      why: 'host certificates hold a key of another type than they are called',
      from: 'if (hostPubKeyType !== this.negotiated.serverHostKey) {',
      to: 'if (hostPubKeyType !== curfew.hostKeyType(this.negotiated.serverHostKey)) {',
    },
    {
      why: 'signatures by the key inside a certificate; one reader of keys and signatures for the whole gateway',
      from: 'bufferParser.init(this._sig, 0);',
      until: '} else {\n        // Server',
      to: `if (!curfew.isHostSignature(this._hostKey, negotiated.serverHostKey, exchangeHash, this._sig)) {
          return doFatalError(
            this._protocol,
            'the host key did not sign the key exchange',
            'handshake',
            DISCONNECT_REASON.KEY_EXCHANGE_FAILED
          );
        }
      `,
    },
    {
      why: 'RFC 4253 section 7: a guess is wrong as soon as the first names differ, of key exchange or host key',
      from: 'if (firstFollows && (!remote.kex.length || clientList[i] !== remote.kex[0])) {',
      to: 'if (firstFollows && curfew.isWrongGuess(local.lists, remote)) {',
    },
    {
      why: 'RFC 4419 numbers the answer differently',
      from: 'packet[p] = MESSAGE.KEXDH_REPLY;',
      to: "packet[p] = this.type === 'groupex' ? MESSAGE.KEXDH_GEX_REPLY : MESSAGE.KEXDH_REPLY;",
    },
    {
      why: 'strict key exchange forbids these messages in the first exchange only',
      from: 'if (!this._strictMode) {',
      to: 'if (!this._strictMode || this._kex?.sessionID !== undefined) {',
    },
  ],
  'Protocol.js': [
    {
      why: 'the server answers the offer of this client',
      from: 'kexinit(this);\n\n        return p + 1 - chunkOffset;',
      to: 'if (!this._server) kexinit(this);\n\n        return p + 1 - chunkOffset;',
    },
    {
      why: 'the names run into each other, and end with SHA-1 and DSA',
      from: 'let serverSigAlgs =',
      until: 'const algsLen = Buffer.byteLength(serverSigAlgs);',
      to: 'const serverSigAlgs = curfew.serverSignatureAlgorithms;\n  ',
    },
  ],
  'crypto.js': [
    {
      why: 'OpenSSH sends, and takes, packets of up to 256 KiB',
      from: 'const MAX_PACKET_SIZE = 35000;',
      to: 'const MAX_PACKET_SIZE = 256 * 1024;',
    },
    {
      why: 'before keys are exchanged the limit of RFC 4253 section 6.1 is enough',
      from: 'if (this._len > MAX_PACKET_SIZE\n            || this._len < 8\n            || (4 + this._len & 7) !== 0) {',
      to: 'if (this._len > 35000\n            || this._len < 8\n            || (4 + this._len & 7) !== 0) {',
    },
  ],
}

/** @throws Error when the text is not the one that the edit was written for. */
export function applyEdit(text: string, edit: Edit): string {
  const start = text.indexOf(edit.from)
  if (start < 0 || text.includes(edit.from, start + 1)) throw new Error(`no single place for: ${edit.why}`)
  const end = edit.until === undefined ? start + edit.from.length : text.indexOf(edit.until, start)
  if (end < 0) throw new Error(`no end for: ${edit.why}`)
  return text.slice(0, start) + edit.to + text.slice(end)
}
