#!/usr/bin/env node
// An MCP server (2026-07-28, no SDK) for node with one tool that reads a file: doer.js FILE

const { readFileSync } = require('node:fs')

const ANSWERS = {
  'server/discover': () => ({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }),
  'tools/list': () => ({ tools: [{ name: 'do', inputSchema: { type: 'object' } }] }),
  'tools/call': () => ({ content: [{ type: 'text', text: readFileSync(process.argv[2], 'utf8') }] })
}

require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, method } = JSON.parse(line)
  if (!(method in ANSWERS)) return
  const result = { resultType: 'complete', ttlMs: 0, cacheScope: 'private', ...ANSWERS[method]() }
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\n')
})
