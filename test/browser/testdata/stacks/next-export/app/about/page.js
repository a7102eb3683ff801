'use client'
import { useState } from 'react'

export default function About() {
  const [count, setCount] = useState(0)
  return (
    <main>
      <h1>about</h1>
      <button id="count" onClick={() => setCount(count + 1)}>
        {count}
      </button>
    </main>
  )
}
