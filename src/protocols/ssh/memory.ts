/** Below this, garbage costs less than getting rid of it. */
const freedBytesMin = 4096

/**
 * Gives memory back at once, where nobody looks at it any more. V8 does so only when it looks for garbage, which is after
 * tens of megabytes: until then each packet gets memory that no cache of the processor holds.
 * Does nothing when `bytes` are few, or others may lie in the same memory.
 */
export function freeMemory(bytes: Buffer): void {
  const { buffer } = bytes
  if (bytes.length < freedBytesMin || bytes.length !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return
  buffer.transfer(0)
}
