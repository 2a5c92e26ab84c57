/**
 * The files of ssh2 1.17.0 that are run, by the SHA-256 of what was read before it was pinned. Our changes to two of them
 * are written against exactly this text, so another release is refused until somebody has read it.
 */
export const pinnedVersion = '1.17.0'

export const pinnedFiles: Readonly<Record<string, string>> = {
  'Protocol.js': 'c1104b49087de7a91cd3ffaac8807c05eebf49f61effd084d0b0caf29fde6af4',
  'constants.js': 'a3894fdd8e294109b55f06fbda69e467741f15a250801b744b6b0487bbf32529',
  'crypto.js': 'a729d2064e787e2a4589c25a284444fe54a58b7434a4e6e5e8e9c73c6d91e28e',
  'crypto/poly1305.js': '55a579ed6a30022054fd1dd822b1b49e2fc51bfbdfa933bfe441de8b7e4dce40',
  'kex.js': '054ba4b81801596350f0e2e939746d2966297cffd4303b342c25b2fd5d295755',
  'keyParser.js': 'ba4f40a5a9edef15ff49a38226e2be2e66f75aa2673840dd18b807bb7943eca9',
  'utils.js': '402b39e75ede9e3dc99af5e8af008602546f35aa1472bd4232c06f606987f053',
}
