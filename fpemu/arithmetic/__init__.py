"""Operations: one exact result, rounded once, with flags."""
