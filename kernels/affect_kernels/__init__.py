"""Array operations, each with a plain reference beside its fast forms.

One folder an operation: ``reference.py`` (NumPy, any floating dtype, cites the equation) ->
``cpu.py`` (numba) -> ``<operation>.cu`` with ``cuda.py``, which says how to launch it. How a kernel
is written, so that it can be proved without a GPU:

- A ``.cu`` includes ``device.cuh`` and nothing else (a ``.cuh`` beside it, at most), and uses only
  the verbs that stand at the head of that file. NVRTC then compiles it for every GPU without CUDA's
  own headers, and g++ compiles the same text for the CPU.
- It opens with what it does and three paragraphs, ``Launch:``, ``Bytes:`` and ``Why it is fast:``.
- Its arguments are one struct of ``In<T>``, ``Out<T>`` and numbers: ``AFFECT_KERNEL(name, Struct,
  threads) { ... a.x ... }`` at the file's end, one line a form, named
  ``<operation>_<verb>_<dtype>...``. ``threads`` is a number or a ``static const int`` of the file.
- ``AFFECT_SHARED`` stands at the top of a body, not in a loop and not under a condition.
- Arithmetic is float32 whatever the arrays' dtype. A tensor-core step is a function with an
  ``#ifdef __CUDACC__`` body and a scalar twin of the same meaning.
- ``cuda.py`` returns :class:`~affect_kernels._launch.Launch` values: source, entry, grid, threads,
  and the struct's fields in order. It imports no CUDA; it refuses what the kernel cannot take.
- ``Out`` has every item written exactly once; what a kernel changes in place is
  ``Writes.over(array)``.

Tests take the fixture ``machine`` (``tests/affect_kernels/conftest.py``) and call
``machine.run(launch)``: the CPU harness always, the GPU in ``make test-gpu``. The compile check of
``test_cuda_sources.py`` finds every ``.cu`` by itself. For ``benchmarks/kernels.py`` an operation
adds its sizes to that script's table.
"""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())
