"""Operations on tensors: warping, deformable convolution, int8 convolution."""
