"""Physical processes as generative models: which equations can generate, and flows that are learnt from five that can.

A study beside the package, in the plane: of these processes, diffusion, Poisson flows and the Yukawa process are also
families (``ddpm``, ``edm``, ``pfgm`` and ``yukawa``), which share paths, samplers and densities, and learn fields too.
"""
