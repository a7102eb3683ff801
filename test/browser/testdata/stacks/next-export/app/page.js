'use client'
import Link from 'next/link'
import { useState } from 'react'

export default function Home() {
  const [count, setCount] = useState(0)
  return (
    <main style={{ marginTop: 3 }}>
      <h1>home</h1>
      <button id="count" onClick={() => setCount(count + 1)}>
        {count}
      </button>
      <Link id="link" href="/about">
        about
      </Link>
    </main>
  )
}
